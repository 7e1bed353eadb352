"""COPY and ADD: what is selected goes into a new layer, by the rules of the Dockerfile reference.

A directory's contents are copied, not the directory; owners are root's for the build context and kept for other
stages, unless --chown says otherwise; links inside directories stay links.
"""

from __future__ import annotations

import os
import stat

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.build.layers import Tree, seconds
from wherry.build.sources import Digests, Entry, Selection, Source
from wherry.dockerfile.modes import change_mode
from wherry.layer.builder import LayerBuilder, read_xattrs
from wherry.layer.tarwriter import Meta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.build.downloads import Download
    from wherry.layer.digesting import Packed

__all__ = ["Copy", "copy_into_layer", "describe_sources"]


class Copy(NamedTuple):
    """One COPY or ADD with everything resolved. `owner` None keeps (other stages) or is root (context).

    `mode` is what --chmod says; `inline` are here-documents; `link` layers do not look at what is below them.
    Of a source whose identity is known, `selected` may be empty and `select` find it when the layer is written;
    `wanted` then says what decides it.
    """

    source: Source
    selected: tuple[Selection, ...]
    destination: str
    owner: tuple[int, int] | None
    mode: str = ""
    inline: tuple[tuple[str, bytes], ...] = ()  # name and content
    remote: tuple[Download, ...] = ()
    unpack: bool = False  # local archives (and remote ones with --unpack) are unpacked
    link: bool = False
    clamp: int | None = None
    now: int = 0  # seconds, for directories that the copy makes
    select: Callable[[], tuple[Selection, ...]] | None = None
    wanted: tuple[object, ...] = ()


def describe_sources(copy: Copy, digests: Digests | None) -> list[object]:
    """What decides the result, for the cache key: names, kinds, modes, contents; never times.

    `digests` are those of the source's files, None where its identity stands for its content.
    """
    described: list[object] = [[name, content.decode("latin-1")] for name, content in copy.inline]
    described += [[one.name, one.digest] for one in copy.remote]
    if digests is None:
        described += [copy.source.identity, *copy.wanted]
        for one in copy.selected:
            names = None if one.entries is None else [entry.name for entry in one.entries]
            described.append([os.path.relpath(one.path, copy.source.root), names])
        return described
    for one in copy.selected:
        described.append([os.path.basename(one.path), digests.of_all(_entries(copy.source, one))])
    return described


def _entries(source: Source, selection: Selection) -> Sequence[Entry]:
    if selection.entries is not None:
        return selection.entries
    status = os.lstat(selection.path)
    if stat.S_ISDIR(status.st_mode):
        return source.walk(selection.path)
    return [Entry("", selection.path, status)]


def copy_into_layer(copy: Copy, view: str, directory: str, scratch: str, sink: Callable[[bytes], object]) -> Packed:
    """Write the layer over what `view` shows; archives are unpacked in the empty directory `scratch`.

    Raises InvalidInput where the destination cannot take the sources."""
    if copy.select is not None:
        copy = copy._replace(selected=copy.select(), select=None)
    with LayerBuilder(directory, sink) as builder:
        tree = Tree(builder, view, copy.clamp, copy.now)
        _Copier(copy, builder, tree, scratch).run()
        return builder.finish()


class _Copier:
    def __init__(self, copy: Copy, builder: LayerBuilder, tree: Tree, scratch: str) -> None:
        self._copy = copy
        self._builder = builder
        self._tree = tree
        self._scratch = scratch
        self._links: dict[tuple[int, int], bytes] = {}
        self._written: dict[bytes, tuple[int, int]] = {}
        owner = copy.owner or (0, 0)
        self._new = tree.new_directory(*owner)

    def run(self) -> None:
        copy, destination = self._copy, self._copy.destination
        into = destination.endswith("/") or len(copy.selected) + len(copy.inline) + len(copy.remote) > 1
        target = self._tree.resolve(destination)
        below = self._tree.status_below(target) if target else None
        inside = into or not target or (below is not None and stat.S_ISDIR(below.st_mode))
        for one in copy.selected:
            if one.entries is not None or (os.path.isdir(one.path) and not os.path.islink(one.path)):
                self._contents(one, target)
            elif not (copy.unpack and self._extract(one.path, target)):
                name = _joined(target, os.path.basename(one.path)) if inside else target
                self._one(Entry("", one.path, os.lstat(one.path)), name)
        for name, content in copy.inline:
            self._write(_joined(target, name) if inside else target, content, 0o644, copy.now)
        for remote in copy.remote:
            self._fetch(remote, target, inside=inside)

    def _fetch(self, remote: Download, target: str, *, inside: bool) -> None:
        """A remote file: as it is, of its last change's time (Dockerfile reference, ADD)."""
        path = f"{self._scratch}/remote"
        remote.save(path)
        try:
            if self._copy.unpack and self._extract(path, target):
                return
            name = _joined(target, remote.name) if inside else target
            os.chmod(path, 0o600)
            os.utime(path, (remote.modified, remote.modified))
            self._one(Entry("", path, os.lstat(path)), name)
        finally:
            os.unlink(path)

    def _contents(self, selection: Selection, target: str) -> None:
        below = self._tree.status_below(target) if target else None
        fresh = below is None and bool(target)
        if below is not None and not stat.S_ISDIR(below.st_mode):
            raise InvalidInput(f"cannot copy to non-directory: /{target}")
        if target:
            self._tree.make_parents(target, self._new)
            if not self._builder.has_directory(os.fsencode(target)):
                self._tree.take_over(target, self._new)
        for entry in _entries(self._copy.source, selection):
            name = f"{target}/{entry.name}" if target else entry.name
            self._entry(entry, name if fresh else self._through_links(name, entry), fresh=fresh)

    def _through_links(self, name: str, entry: Entry) -> str:
        """A directory of the image that is a link is followed inside the image; what is copied lands behind it."""
        parent, slash, base = name.rpartition("/")
        if stat.S_ISDIR(entry.status.st_mode):
            return self._tree.resolve(name)
        return (self._tree.resolve(parent) if slash else parent) + slash + base

    def _entry(self, entry: Entry, name: str, *, fresh: bool) -> None:
        if stat.S_ISDIR(entry.status.st_mode):
            below = None if fresh else self._tree.status_below(name)
            if below is not None and not stat.S_ISDIR(below.st_mode):
                raise InvalidInput(f"cannot copy to non-directory: /{name}")
            self._builder_directory(entry, name)
            return
        if not fresh:
            below = self._tree.status_below(name)
            if below is not None and stat.S_ISDIR(below.st_mode):
                raise InvalidInput(f"cannot copy to directory: /{name}")
            self._tree.make_parents(name, self._new)
        self._copy_one(entry, name)

    def _builder_directory(self, entry: Entry, name: str) -> None:
        self._tree.make_parents(name, self._new)
        self._builder.directory(os.fsencode(name), self._meta(entry))

    def _one(self, entry: Entry, name: str) -> None:
        if not name:
            raise InvalidInput("cannot copy to non-directory: /")
        below = self._tree.status_below(name)
        if below is not None and stat.S_ISDIR(below.st_mode):
            raise InvalidInput(f"cannot copy to directory: /{name}")
        self._tree.make_parents(name, self._new)
        self._copy_one(entry, name)

    def _meta(self, entry: Entry) -> Meta:
        status = entry.status
        uid, gid = (0, 0) if self._copy.source.is_context else (status.st_uid, status.st_gid)
        if self._copy.owner is not None:
            uid, gid = self._copy.owner
        mode = stat.S_IMODE(status.st_mode)
        if self._copy.mode and not stat.S_ISLNK(status.st_mode):
            mode = change_mode(self._copy.mode, mode, is_directory=stat.S_ISDIR(status.st_mode))
        return Meta(mode, uid, gid, seconds(status.st_mtime, self._copy.clamp))

    def _copy_one(self, entry: Entry, name: str) -> None:
        encoded, meta, mode = os.fsencode(name), self._meta(entry), entry.status.st_mode
        if stat.S_ISSOCK(mode):
            return
        inode = (entry.status.st_dev, entry.status.st_ino)
        replaced = self._written.get(encoded)
        self._written[encoded] = inode
        if replaced is not None and self._links.get(replaced) == encoded:
            del self._links[replaced]  # the name has another file's content now: nothing may link to it for the old one
        if entry.status.st_nlink > 1:
            first = self._links.setdefault(inode, encoded)
            if first != encoded:
                self._builder.hard_link(encoded, meta, first)
                return
        if stat.S_ISREG(mode):
            fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                xattrs = read_xattrs(fd)
                size = entry.status.st_size
                self._builder.file(encoded, meta._replace(xattrs=xattrs) if xattrs else meta, fd, size)
            finally:
                os.close(fd)
        elif stat.S_ISLNK(mode):
            self._builder.symlink(encoded, meta, os.fsencode(os.readlink(entry.path)))
        else:
            self._builder.special(encoded, meta, mode, entry.status.st_rdev)

    def _write(self, name: str, content: bytes, mode: int, mtime: int) -> None:
        self._tree.make_parents(name, self._new)
        uid, gid = self._copy.owner or (0, 0)
        mode = change_mode(self._copy.mode, mode, is_directory=False)
        self._builder.data(os.fsencode(name), Meta(mode, uid, gid, mtime), content)

    def _extract(self, path: str, target: str) -> bool:
        """Unpack an archive beside the layer and copy what it held; False where the file is no archive."""
        from wherry.base.files import remove_tree
        from wherry.build.archives import extract_archive

        scratch = f"{self._scratch}/archive"
        os.mkdir(scratch, 0o755)
        try:
            if not extract_archive(path, scratch):
                return False
            top = Selection(os.path.realpath(scratch))
            inside = self._copy._replace(
                source=Source(scratch, identity="archive"), selected=(top,), owner=None, mode=""
            )
            copier = _Copier(inside, self._builder, self._tree, self._scratch)
            copier._new = self._new
            copier._contents(top, target)
        finally:
            remove_tree(scratch)
        return True


def _joined(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
