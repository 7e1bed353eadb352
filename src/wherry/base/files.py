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
    """Remove the directory `name`, relative to the open directory `parent`, and everything in it."""
    import errno

    for _ in range(10):
        _empty_directory(name, parent)
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        else:
            return  # else somebody put something there meanwhile
    os.rmdir(name, dir_fd=parent)


def _empty_directory(name: str | bytes, parent: int | None) -> None:
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        with os.scandir(directory) as entries:
            inside = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for inner, is_directory in inside:
            try:
                if is_directory:
                    remove_directory_at(inner, directory)
                else:
                    os.unlink(inner, dir_fd=directory)
            except FileNotFoundError:
                continue
    finally:
        os.close(directory)
