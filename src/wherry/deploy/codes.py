"""Status codes as people write them (`200-299,401`), as the decimal prefixes that a map can look up. Pure."""

from __future__ import annotations

import re

from wherry.base.errors import InvalidInput

__all__ = ["status_prefixes"]


def status_prefixes(codes: str) -> tuple[str, ...]:
    """The fewest prefixes that cover exactly these codes: `200-399` is 2 and 3, `200-209,401` is 20 and 401.

    Raises InvalidInput for what is no list of codes from 200 to 499: as Amazon's balancer, none takes an error of the
    server for health.
    """
    wanted: set[int] = set()
    for part in codes.split(","):
        found = re.fullmatch(r"\s*([0-9]{3})(?:-([0-9]{3}))?\s*", part, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 200 <= first <= last <= 499:
            raise InvalidInput(
                f"health check: {codes!r} is not a list of status codes", hint="as in 200-299,401; from 200 to 499"
            )
        wanted.update(range(first, last + 1))
    return tuple(_cover("", wanted))


def _cover(prefix: str, wanted: set[int]) -> list[str]:
    missing = 3 - len(prefix)
    first = int(prefix + "0" * missing)
    below = range(first, first + 10**missing)
    if prefix and wanted.issuperset(below):
        return [prefix]
    if wanted.isdisjoint(below):
        return []
    return [found for digit in "0123456789" for found in _cover(prefix + digit, wanted)]
