"""What COPY and ADD read from: the build context with its ignore patterns, or the files of another stage or image.

A source is a root directory; names given by the Dockerfile are resolved inside it by the kernel, so that no symbolic
link leads out. Entries come sorted, directories before what is in them.
"""

from __future__ import annotations

import errno
import marshal
import os
import re
import stat
import time
from _thread import allocate_lock

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.build.cache import NotBuilt, step_key
from wherry.dockerfile.ignore import IgnorePatterns, match_to_regex
from wherry.kernel.rooted import resolve_in_root
from wherry.oci.digest import encoded, sha256_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wherry.build.cache import BuildCache, FileState

__all__ = ["Digests", "Entry", "Selection", "Source"]

_SETTLED = 100_000_000  # a file changed less than this many nanoseconds ago may change again within one tick
_WILD = frozenset("*?[")


class Entry(NamedTuple):
    """A file, directory, link or device to copy: `path` to open it, `name` relative to what was selected."""

    name: str
    path: str
    status: os.stat_result


class Selection(NamedTuple):
    """What one source argument selected: `path` itself, or where `entries` is not None, those as what is in it."""

    path: str
    entries: tuple[Entry, ...] | None = None


class Source:
    """A root directory to copy from. `identity` stands for its content where that is known already (a chain ID)."""

    def __init__(
        self, root: str | Callable[[], str], *, ignore: IgnorePatterns | None = None, identity: str = ""
    ) -> None:
        self._given = root
        self._root = ""
        self.identity = identity
        self.is_context = not identity
        self._ignore = ignore
        self._walked: dict[str, list[Entry]] = {}

    @property
    def root(self) -> str:
        """The real path of the root; one that was given as a function is made ready when it is first asked for."""
        if not self._root:
            self._root = os.path.realpath(self._given if isinstance(self._given, str) else self._given())
        return self._root

    def select(self, pattern: str) -> list[str]:
        """The real paths of what a source argument means. Raises InvalidInput where a plain name means nothing."""
        clean = os.path.normpath("/" + pattern).lstrip("/")
        if not _WILD.intersection(clean):
            return [self.select_one(pattern)]
        return [path for path in self._matches(clean) if not self._is_ignored(path)]

    def select_one(self, name: str) -> str:
        """The real path of what a name means, in which no letter is special. Raises InvalidInput for nothing."""
        return self._plain(os.path.normpath("/" + name).lstrip("/"), name)

    def select_leaving_out(self, pattern: str, exclude: IgnorePatterns) -> list[Selection]:
        """As `select`, without what `exclude` matches: by its own name, or below a directory by the path there."""
        found = []
        for path in self.select(pattern):
            if os.path.isdir(path) and not os.path.islink(path):
                found.append(Selection(path, tuple(_kept(self.walk(path), exclude))))
            elif not exclude.excludes(os.path.basename(path)):
                found.append(Selection(path))
        return found

    def select_with_parents(self, pattern: str, exclude: IgnorePatterns) -> Selection:
        """What COPY --parents takes: what matches, with its parents below the root, or below what is before `/./`.

        Patterns may hold `**`; matched directories come whole (Dockerfile reference, COPY --parents).
        """
        before, _, rest = pattern.partition("/./") if "/./" in pattern else ("", "", pattern)
        top = self.select_one(before)
        wanted = os.path.normpath("/" + rest).lstrip("/")
        expression = re.compile(match_to_regex(wanted) + "(/.*)?" if wanted else ".*", re.DOTALL)
        entries = self._below(top, wanted, pattern)
        needed = {entry.name for entry in _kept(entries, exclude) if expression.fullmatch(entry.name)}
        for name in list(needed):
            parts = name.split("/")
            needed.update("/".join(parts[:count]) for count in range(1, len(parts)))
        return Selection(top, tuple(entry for entry in entries if entry.name in needed))

    def _below(self, top: str, wanted: str, pattern: str) -> list[Entry]:
        """What is below `top` as far as `wanted` may match it: its plain beginning, and all that is in that."""
        plain: list[str] = []
        for part in wanted.split("/"):
            if not part or _WILD.intersection(part):
                break
            plain.append(part)
        entries = []
        path = top
        for count in range(1, len(plain) + 1):
            name = "/".join(plain[:count])
            path = self._plain(os.path.relpath(f"{top}/{name}", self.root), pattern)
            entries.append(Entry(name, path, os.lstat(path)))
        if os.path.isdir(path):
            prefix = "".join(part + "/" for part in plain)
            entries += [entry._replace(name=prefix + entry.name) for entry in self.walk(path)]
        return entries

    def _plain(self, name: str, pattern: str) -> str:
        try:
            real = resolve_in_root(self.root, name or ".")
        except OSError:
            real = ""
        if not real or (name and self._is_left_out(real)):
            raise InvalidInput(
                f'failed to compute cache key: "/{name}": not found' if self.is_context else f'"/{name}": not found',
                hint=f"{pattern} is not in the build context"
                + (", or .dockerignore leaves it out" if self._ignore is not None else ""),
            )
        return real

    def _is_left_out(self, real: str) -> bool:
        """Whether the ignore patterns leave it out, and nothing inside it either."""
        if not self._is_ignored(real):
            return False
        relative = os.path.relpath(real, self.root)
        return not (os.path.isdir(real) and self._ignore is not None and self._ignore.may_hold_exceptions(relative))

    def _is_ignored(self, real: str) -> bool:
        relative = os.path.relpath(real, self.root)
        return self._ignore is not None and relative != "." and self._ignore.excludes(relative)

    def _matches(self, pattern: str) -> list[str]:
        found = [self.root]
        for part in pattern.split("/"):
            expression = re.compile(match_to_regex(part))
            candidates = []
            for directory in found:
                if os.path.isdir(directory) and (directory == self.root or not os.path.islink(directory)):
                    names = [name for name in sorted(os.listdir(directory)) if expression.fullmatch(name)]
                    candidates += [f"{directory}/{name}" for name in names]
            found = candidates
        return found

    def walk(self, top: str) -> list[Entry]:
        """Everything inside the directory `top` that is not ignored; looked at once.

        Raises InvalidInput for a tree so deep that the kernel takes no path to what is in it.
        """
        if top not in self._walked:
            try:
                self._walked[top] = self._walk(top)
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                raise InvalidInput(
                    f"{os.path.relpath(top, self.root)} holds a name that is longer than a path can be (4,095 bytes)",
                    hint="leave it out with .dockerignore" if self.is_context else "",
                ) from None
        return self._walked[top]

    def _walk(self, top: str) -> list[Entry]:
        found: list[Entry] = []
        passages: list[Entry] = []  # ignored directories on the way to an exception: there once something is in them
        ways = [self._inside(top, "")]
        while ways:
            entry, is_kept, is_directory = next(ways[-1], (None, False, False))
            if entry is None:
                ways.pop()
                if passages and passages[-1].name.count("/") == len(ways) - 1:
                    passages.pop()
                continue
            if is_kept:
                found += passages
                passages = []
                found.append(entry)
            else:
                passages.append(entry)
            if is_directory:
                ways.append(self._inside(entry.path, f"{entry.name}/"))
        return found

    def _inside(self, directory: str, prefix: str) -> Iterator[tuple[Entry, bool, bool]]:
        """What is in a directory, in order: the entry, whether it is kept or only a way, whether it is a directory."""
        with os.scandir(directory) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
        base = "" if directory == self.root else os.path.relpath(directory, self.root) + "/"
        for entry in inside:
            is_directory = entry.is_dir(follow_symlinks=False)
            ignored = self._ignore is not None and self._ignore.excludes(base + entry.name)
            if ignored and not (is_directory and self._ignore and self._ignore.may_hold_exceptions(base + entry.name)):
                continue
            yield Entry(prefix + entry.name, entry.path, entry.stat(follow_symlinks=False)), not ignored, is_directory


def _kept(entries: list[Entry], exclude: IgnorePatterns) -> list[Entry]:
    return [entry for entry in entries if not exclude.excludes(entry.name)]


class Digests:
    """The digests of a context's files, read only where inode, size or times say that they may have changed.

    What many files together looked like is remembered as one, so that nothing is looked up for each file of a context
    that has not changed.
    """

    def __init__(self, cache: BuildCache, root: str, *, only_known: bool = False) -> None:
        self._cache = cache
        self._only_known = only_known
        self._root = root
        self._known: dict[str, FileState] | None = None
        self._new: dict[str, FileState] = {}
        self._trees: dict[str, str] = {}
        self._lock = allocate_lock()

    def of_all(self, entries: Sequence[Entry]) -> str:
        """One digest for all names, kinds, modes and contents; times have no part in it.

        Raises NotBuilt where only what is known may be told, and this is not.
        """
        states = [_state_of(entry) for entry in entries]
        state = encoded(sha256_digest(marshal.dumps(states, 2)))
        digest = self._cache.tree(self._root, state)
        if not digest:
            if self._only_known:
                raise NotBuilt("the files have changed")
            settled = _is_settled(max((max(one[4:6]) for one in states if len(one) > 2), default=0))
            digest = step_key([self._describe(entry) for entry in entries])
            if settled:
                with self._lock:
                    self._trees[state] = digest
        return digest

    def _describe(self, entry: Entry) -> list[object]:
        mode = entry.status.st_mode
        if stat.S_ISREG(mode):
            return [entry.name, mode, self.of(entry)]
        if stat.S_ISLNK(mode):
            return [entry.name, mode, os.readlink(entry.path)]
        return [entry.name, mode, entry.status.st_rdev]

    def of(self, entry: Entry) -> str:
        """The digest of a regular file."""
        status = entry.status
        state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        path = entry.path
        name = path[len(self._root) :] if path.startswith(self._root) else os.path.relpath(path, self._root)
        known = self._files().get(name)
        if known is not None and known[:4] == state:
            return known[4]
        settled = _is_settled(max(state[2:]))
        digest = _digest(entry.path)
        if settled:
            with self._lock:
                self._new[name] = (*state, digest)
        return digest

    def _files(self) -> dict[str, FileState]:
        with self._lock:
            if self._known is None:
                self._known = self._cache.file_states(self._root)
            return self._known

    def save(self) -> None:
        """Remember what was read."""
        with self._lock:
            new, self._new = self._new, {}
            trees, self._trees = self._trees, {}
        if new:
            self._cache.remember_files(self._root, new)
            self._files().update(new)
        if trees:
            self._cache.remember_trees(self._root, trees)


def _state_of(entry: Entry) -> tuple[str, int] | tuple[str, int, int, int, int, int, int]:
    """What differs whenever its content or its mode may; of a directory, its name and mode."""
    name, _, status = entry
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        return name, mode
    return name, mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_rdev


def _is_settled(changed: int) -> bool:
    """Whether what is changed from now on shows by a later time; to be asked before the content is read."""
    return time.time_ns() - changed > _SETTLED


def _digest(path: str) -> str:
    from hashlib import sha256

    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InvalidInput(f"{path} changed while it was read")
        hasher = sha256()
        while data := os.read(fd, 1 << 20):
            hasher.update(data)
    finally:
        os.close(fd)
    return hasher.hexdigest()
