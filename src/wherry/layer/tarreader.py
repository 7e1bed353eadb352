"""Reading tar archives as a stream of entries: ustar, pax (POSIX.1-2001) and GNU's long names.

Every number and every length is checked before it is used; a malformed archive raises Corrupt.
"""

from __future__ import annotations

import os

from wherry.base.errors import Corrupt
from wherry.base.values import NamedTuple
from wherry.layer import sparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Entry", "TarReader", "is_header"]

_MAX_EXTENDED = 1 << 20
_ZERO_BLOCK = bytes(512)
_XATTR = b"SCHILY.xattr."


class Entry(NamedTuple):
    """One entry as the archive says it, unchecked: `name` and `link` verbatim, `kind` the type flag."""

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes
    device: int
    xattrs: dict[str, bytes]
    sparse: tuple[tuple[int, int], ...] | None = None  # where the data of a sparse file lie: offset and length


class TarReader:
    """Iterates over the entries of the archive that `read(n)` gives the bytes of (fewer only at the end).

    After each entry of a regular file, its content may be taken with `content`; what is not taken is skipped, with
    `skip(n)` where it is given instead of by reading.
    """

    def __init__(self, read: Callable[[int], bytes], skip: Callable[[int], object] | None = None) -> None:
        self._read = read
        self._skip_ahead = skip
        self._left = 0
        self._padding = 0

    def content(self, most: int) -> bytes:
        """The next bytes that the archive stores of the current entry, at most `most`; empty at their end.

        Of a sparse entry that is what lies at the places in `sparse`, one after another.
        """
        if not self._left:
            return b""
        data = self._read(min(most, self._left))
        if not data:
            raise _truncated()
        self._left -= len(data)
        return data

    def __iter__(self) -> Iterator[Entry]:
        extended: dict[bytes, bytes] = {}
        long_name = long_link = None
        while (block := self._block()) is not None:
            entry = _parse(block)
            if entry.kind in (b"x", b"g", b"L", b"K"):
                data = self._extended(entry)
                if entry.kind == b"x":
                    extended = _records(data)
                elif entry.kind == b"g":
                    continue  # what holds for all further entries is left aside, as Docker and containerd do
                elif entry.kind == b"L":
                    long_name = data.rstrip(b"\0")
                else:
                    long_link = data.rstrip(b"\0")
                continue
            stored, entry = entry.size, _apply(entry, extended)
            if b"size" in extended:
                stored = _counting_number(extended[b"size"])
            if long_name is not None:
                entry = entry._replace(name=long_name)
            if long_link is not None:
                entry = entry._replace(link=long_link)
            self._left = stored if entry.kind in (b"0", b"\0", b"7", b"S") else 0
            self._padding = -self._left & 511
            if entry.kind == b"S" or entry.sparse is not None or b"GNU.sparse.major" in extended:
                entry = self._sparse(entry, block, extended)
            extended, long_name, long_link = {}, None, None
            yield entry

    def _sparse(self, entry: Entry, block: bytes, records: dict[bytes, bytes]) -> Entry:
        """The entry with the map of its data, where it has one in any of the formats (GNU tar manual, appendix D)."""
        if entry.kind == b"S":
            places = list(sparse.old_places(block[386:482]))
            more = block[482]
            while more:
                extension = self._exactly(512)
                places += sparse.old_places(extension[:504])
                sparse.check_count(places)
                more = extension[504]
            entry = entry._replace(kind=b"0", size=_number(block[483:495]))
        elif records.get(b"GNU.sparse.major") == b"1":
            places = sparse.read_places(self._map_block)
        elif entry.sparse is not None:
            places = list(entry.sparse)
        else:
            return entry
        return entry._replace(sparse=sparse.checked(places, entry.size, self._left))

    def _map_block(self) -> bytes:
        """A block of the map that stands before the data (sparse format 1.0)."""
        if self._left < 512:
            raise _truncated()
        self._left -= 512
        return self._exactly(512)

    def _block(self) -> bytes | None:
        self._skip()
        block = self._exactly(512, at_end=True)
        if not block:
            return None
        if block == _ZERO_BLOCK:
            while self._read(1 << 16):
                pass
            return None
        return block

    def _skip(self) -> None:
        if self._skip_ahead is not None and self._left:
            self._skip_ahead(self._left)
            self._left = 0
        while self._left:
            self.content(1 << 20)
        if self._padding:
            self._exactly(self._padding)
            self._padding = 0

    def _exactly(self, count: int, *, at_end: bool = False) -> bytes:
        data = self._read(count)
        if len(data) == count:
            return data
        pieces, missing = [data], count - len(data)  # joined once: a million pieces of a byte are no quadratic work
        while missing:
            more = self._read(missing)
            if not more:
                if at_end and missing == count:
                    return b""
                raise _truncated()
            pieces.append(more)
            missing -= len(more)
        return b"".join(pieces)

    def _extended(self, entry: Entry) -> bytes:
        if entry.size > _MAX_EXTENDED:
            raise Corrupt(f"the archive has an extended header of {entry.size} bytes")
        data = self._exactly(entry.size)
        if entry.size & 511:
            self._exactly(-entry.size & 511)
        return data


def _truncated() -> Corrupt:
    return Corrupt("the archive is cut off", hint="fetch or build it again")


def _number(field: bytes) -> int:
    """Octal digits, or GNU's base-256 for what does not fit."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ~(0x80 << (8 * (len(field) - 1)))
        if field[0] == 0xFF:
            value = int.from_bytes(field, "big", signed=True)
        return value
    digits = field.strip(b" \0")
    if not digits:
        return 0
    try:
        if not digits.isdigit():
            raise ValueError
        return int(digits, 8)
    except ValueError:
        raise Corrupt(f"the archive has a malformed number in a header: {field!r}") from None


def _counting_number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise Corrupt("the archive has a malformed number in an extended header")
    return int(digits)


def is_header(block: bytes) -> bool:
    """Whether these 512 bytes begin a tar entry: their checksum is right."""
    if len(block) != 512:
        return False
    return sum(block) - sum(block[148:156]) + 8 * 32 == _number(block[148:156])


def _parse(block: bytes) -> Entry:
    if not is_header(block):
        raise Corrupt("the archive has a header with a wrong checksum")
    name = block[:100].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0", 1)[0]
        if prefix:
            name = prefix + b"/" + name
    kind = block[156:157]
    size = _number(block[124:136])
    if size < 0:
        raise Corrupt("the archive has an entry of negative size")
    major, minor = (_number(block[329:337]), _number(block[337:345])) if kind in (b"3", b"4") else (0, 0)
    if not 0 <= major < 1 << 12 or not 0 <= minor < 1 << 20:
        raise Corrupt("the archive has a device number out of range")
    device = os.makedev(major, minor)
    if not all(0 <= _number(field) <= 0xFFFFFFFE for field in (block[108:116], block[116:124])):
        raise Corrupt("the archive has an owner out of range")
    return Entry(
        name,
        kind,
        _number(block[100:108]) & 0o7777,
        _number(block[108:116]),
        _number(block[116:124]),
        size,
        _number(block[136:148]),
        block[157:257].split(b"\0", 1)[0],
        device,
        {},
    )


def _records(data: bytes) -> dict[bytes, bytes]:
    """pax records; a length that does not fit raises Corrupt. A sparse map of format 0.0 becomes one of 0.1."""
    records: dict[bytes, bytes] = {}
    places: list[bytes] = []
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            if not data[position:].strip(b"\0"):
                break
            raise Corrupt("the archive has a malformed extended header")
        end = position + int(digits)
        record = data[space + 1 : end]
        key, equals, value = record.partition(b"=")
        if end > len(data) or not record.endswith(b"\n") or not equals or not key:
            raise Corrupt("the archive has a malformed extended header")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):  # repeated, one pair for each place
            places.append(value[:-1])
        records[key] = value[:-1]
        position = end
    if places:
        records[b"GNU.sparse.map"] = b",".join(places)
    return records


def _apply(entry: Entry, records: dict[bytes, bytes]) -> Entry:
    if not records:
        return entry
    try:
        entry = entry._replace(
            name=records.get(b"GNU.sparse.name", records.get(b"path", entry.name)),
            link=records.get(b"linkpath", entry.link),
            size=int(
                records.get(b"GNU.sparse.realsize", records.get(b"GNU.sparse.size", records.get(b"size", entry.size)))
            ),
            uid=int(records.get(b"uid", entry.uid)),
            gid=int(records.get(b"gid", entry.gid)),
            mtime=int(float(records.get(b"mtime", entry.mtime)) // 1),
        )
    except (ValueError, OverflowError):
        raise Corrupt("the archive has a malformed number in an extended header") from None
    if min(entry.size, entry.uid, entry.gid) < 0 or max(entry.uid, entry.gid) > 0xFFFFFFFE:
        raise Corrupt("the archive has a number out of range in an extended header")
    xattrs = {os.fsdecode(key[len(_XATTR) :]): value for key, value in records.items() if key.startswith(_XATTR)}
    return entry._replace(xattrs=xattrs, sparse=sparse.places_in_records(records))
