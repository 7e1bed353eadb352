"""Files that are whole or absent: what a name shows survives `kill -9` and, where asked, a power cut."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "atomic_write",
    "ensure_directory",
    "read_text",
    "remove_directory_at",
    "remove_if_exists",
    "remove_tree",
    "sync_directory",
    "write_all",
]

_HELD_OPEN = 64  # directories deep


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte of `data` to `fd`; a short write is continued."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_directory(path: str) -> None:
    """Make the names in the directory `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def atomic_write(path: str, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Replace `path` by a file of exactly `data`: readers see the old bytes or the new ones, never a mixture.

    Two writers at once are safe: one of them wins. With `durable`, the bytes and the name outlive a power cut.
    """
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            write_all(fd, data)
            os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        remove_if_exists(temporary)
        raise
    if durable:
        sync_directory(os.path.dirname(path) or ".")


def ensure_directory(path: str, mode: int = 0o700) -> str:
    """Make `path` and its missing parents with `mode` (the umask does not apply to `path` itself); return it."""
    if not os.path.isdir(path):
        os.makedirs(path, mode=0o755, exist_ok=True)
        os.chmod(path, mode)
    return path


def read_text(path: str) -> str:
    """What the file `path` holds; empty where there is none. Bytes that are no UTF-8 become marks of replacement."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def remove_if_exists(path: str) -> None:
    """Unlink the file `path`; that it is already gone is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def remove_tree(path: str, *, on_busy: Callable[[str], None] | None = None) -> None:
    """Remove the directory tree `path` without following symbolic links; that it is already gone is fine.

    Descends by descriptor, so a link swapped in meanwhile cannot lead it elsewhere. `on_busy(path)` is called for a
    mount point in the way, and the removal is then tried once more. Raises NotADirectoryError for what is no directory.
    """
    import errno

    try:
        remove_directory_at(path, None)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.EBUSY or on_busy is None:
            raise
        on_busy(path)
        remove_directory_at(path, None)


def remove_directory_at(name: str | bytes, parent: int | None) -> None:
    """Remove the directory `name`, relative to the open directory `parent`, and everything in it, however deep.

    What lies deeper than 64 directories is first moved up, so that neither descriptors nor the stack run out.
    """
    import errno

    top = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        while True:
            while not _empty_directory(top, top, 0):
                pass
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:  # else somebody put something there meanwhile
                    raise
            else:
                return
    finally:
        os.close(top)


def _empty_directory(directory: int, top: int, depth: int) -> bool:
    """Remove what is in the open directory; False where something was moved to `top` instead, to be removed there."""
    with os.scandir(directory) as entries:
        inside = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    whole = True
    for name, is_directory in inside:
        try:
            if not is_directory:
                os.unlink(name, dir_fd=directory)
            elif depth < _HELD_OPEN:
                whole = _remove_below(name, directory, top, depth + 1) and whole
            else:
                os.rename(name, f".removed-{os.urandom(8).hex()}", src_dir_fd=directory, dst_dir_fd=top)
                whole = False
        except FileNotFoundError:
            continue
    return whole


def _remove_below(name: str, parent: int, top: int, depth: int) -> bool:
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        whole = _empty_directory(directory, top, depth)
    finally:
        os.close(directory)
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        import errno

        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    return whole
