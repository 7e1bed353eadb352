"""Sparse files in tar archives: the maps of where their data lie, in GNU's old format and its three pax formats.

A map is hostile as everything in an archive: its places must be in order, inside the file, and as long together as the
data that the archive stores (GNU tar manual, "Storing Sparse Files").
"""

from __future__ import annotations

from wherry.base.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["check_count", "checked", "old_places", "places_in_records", "read_places"]

_MOST_PLACES = 1 << 20


def old_places(table: bytes) -> Iterator[tuple[int, int]]:
    """Pairs of octal or base-256 numbers of 12 bytes each; the first empty one ends the table."""
    for start in range(0, len(table) - 23, 24):
        if not table[start]:
            return
        yield _old_number(table[start : start + 12]), _old_number(table[start + 12 : start + 24])


def _old_number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ~(0x80 << 88)
    return _decimal(field.strip(b" \0"), 8)


def places_in_records(records: dict[bytes, bytes]) -> tuple[tuple[int, int], ...] | None:
    """The map in the records of formats 0.0 and 0.1; None for an entry that is not sparse that way."""
    if b"GNU.sparse.map" not in records:
        return None
    numbers = [_decimal(number) for number in records[b"GNU.sparse.map"].split(b",") if number]
    if len(numbers) % 2:
        raise _malformed()
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def read_places(block: Callable[[], bytes]) -> list[tuple[int, int]]:
    """The map of format 1.0, which stands before the data: a count, then the numbers, a line each, in whole blocks."""
    numbers: list[int] = []
    wanted, rest = -1, b""
    while wanted < 0 or len(numbers) < 2 * wanted:
        *lines, rest = (rest + block()).split(b"\n")
        if len(rest) > 20:
            rest = rest.rstrip(b"\0")
        if len(rest) > 20:
            raise _malformed()
        for line in lines:
            if wanted < 0:
                wanted = _decimal(line)
                if wanted > _MOST_PLACES:
                    raise _malformed()
            else:
                numbers.append(_decimal(line))
    if len(numbers) != 2 * wanted:
        raise _malformed()
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def check_count(places: Sequence[tuple[int, int]]) -> None:
    """Raises Corrupt for more places than any honest file has."""
    if len(places) > _MOST_PLACES:
        raise _malformed()


def checked(places: list[tuple[int, int]], size: int, stored: int) -> tuple[tuple[int, int], ...]:
    """The map of a file of `size` bytes of which the archive holds `stored`. Raises Corrupt where they disagree."""
    end = 0
    for offset, length in places:
        if offset < end or length < 0:
            raise _malformed()
        end = offset + length
    if end > size or sum(length for _, length in places) != stored:
        raise _malformed()
    return tuple(place for place in places if place[1])


def _decimal(digits: bytes, base: int = 10) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise _malformed()
    try:
        return int(digits, base)
    except ValueError:
        raise _malformed() from None


def _malformed() -> Corrupt:
    return Corrupt("the archive has a malformed map of a sparse file")
