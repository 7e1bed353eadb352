"""The access log: lines in a ring of HAProxy's, as records. Pure.

A line is `MILLISECONDS ENVIRONMENT:RULES SLOT:POOL:SECURE SERVER STATUS DURATION METHOD CLIENT PATH`, written when the
answer has ended; `-` stands for what there is none of. What HAProxy notes of its servers between them is no record. A
client that left before there was an answer has the status 0.
"""

from __future__ import annotations

from wherry.deploy.balancer import AccessRecord

__all__ = ["parse_access"]


def parse_access(line: bytes, environment: str, since: float = 0.0) -> AccessRecord | None:
    """The record of a line; None where it is no record, another environment's, or older than `since`.

    With an empty `environment`, the records of all of them.
    """
    parts = line.split(b" ", 8)
    if len(parts) < 9 or not parts[0].isdigit() or parts[1] == b"-":
        return None
    found = parts[1].partition(b":")[0].decode(errors="replace")
    if environment not in ("", found):
        return None
    time = int(parts[0]) / 1000
    if time < since:
        return None
    route, server, status, duration, method, client, path = (part.decode(errors="replace") for part in parts[2:])
    return AccessRecord(
        time,
        found,
        route.partition(":")[2].partition(":")[0],
        server.split(":")[1] if server.startswith(f"{found}:") else "",
        max(0, _number(status)),
        float(max(0, _number(duration))),
        method,
        path,
        client,
    )


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
