"""`port` and `top`."""

from __future__ import annotations

from wherry.base.errors import InvalidInput, NotFound
from wherry.cli.context import engine
from wherry.cli.flags import Command

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """One of the two."""
    return _port(argv[1:]) if argv[0] == "port" else _top(argv[1:])


def _port(argv: list[str]) -> int:
    usage = "CONTAINER [PRIVATE_PORT[/PROTO]]"
    parsed = Command("wherry port", usage, "Show the published ports of a container", least=1, most=2).parse(argv)
    container = engine().containers.resolve(parsed.args[0])
    wanted = parsed.args[1] if parsed.args[1:] else ""
    wanted = wanted if "/" in wanted or not wanted else f"{wanted}/tcp"
    number = wanted.partition("/")[0]
    if wanted and not (number.isascii() and number.isdigit()):
        raise InvalidInput(f'parsing "{number}": invalid syntax', hint="write a port, as 80 or 53/udp")
    published = False
    for port, protocol, address, host in container.network.ports:
        shown = f"{address or '0.0.0.0'}:{host}"  # noqa: S104 (the address that is printed)
        if not wanted:
            print(f"{port}/{protocol} -> {shown}")
        elif wanted == f"{port}/{protocol}":
            published = True
            print(shown)
    if wanted and not published:
        raise NotFound(f"No public port '{wanted}' published for {parsed.args[0]}")
    return 0


def _top(argv: list[str]) -> int:
    command = Command(
        "wherry top", "CONTAINER [ps OPTIONS]", "Show the processes of a container", least=1, interspersed=False
    )
    name, *arguments = command.parse(argv).args
    titles, rows = engine().containers.top(name, tuple(arguments))
    widths = [max(len(line[index]) for line in [titles, *rows] if index < len(line)) for index in range(len(titles))]
    for line in [titles, *rows]:
        print("".join(cell.ljust(width + 3) for cell, width in zip(line, widths, strict=False)).rstrip())
    return 0
