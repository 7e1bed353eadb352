"""`env logs` and `env open`: what an environment's services wrote, and where it answers."""

from __future__ import annotations

import os
import sys

from wherry.base.clock import rfc3339, system_clock
from wherry.base.errors import InvalidInput, NotFound, UsageError
from wherry.base.progress import nobody
from wherry.cli.deploying import ONE_FORMAT, opened, parts
from wherry.cli.flags import Command, Flag
from wherry.cli.output import render_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed
    from wherry.deploy.balancer import AccessRecord
    from wherry.deploy.parts import Parts
    from wherry.deploy.target import LogLine

__all__ = ["access_line", "run", "shown"]

_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")  # one of which is set where there is something to show pages on


def run(argv: list[str]) -> int:
    """One of them."""
    return {"logs": _logs, "open": _open}[argv[0]](argv[1:])


def _logs(argv: list[str]) -> int:
    flags = (
        Flag("access", "bool", "Requests as the load balancer logs them, instead of what was written"),
        Flag("all", "bool", "All lines of everything (as without --tail, --instance and --service)"),
        Flag("output", "str", "Write an archive (.tar.gz) with a file for each service of each instance", short="o"),
        Flag("follow", "bool", "Go on until interrupted", short="f"),
        Flag("instance", "list", "Only this instance (may be given several times)"),
        Flag("service", "list", "Only this service (may be given several times)"),
        Flag("tail", "str", "Only the last lines (a number, or all)", short="n", default="all"),
        ONE_FORMAT,
    )
    summary = "Show what instances and accessories wrote, also of those that are gone"
    parsed = Command("wherry env logs", "[OPTIONS] NAME", summary, flags, least=1, most=1).parse(argv)
    tail = parsed["tail"]
    if tail != "all" and not (tail.isascii() and tail.isdigit()):
        raise InvalidInput(f'invalid value for "tail": "{tail}"', hint="a number of lines, or all")
    _check(parsed)
    given = parts()
    given.records.environment(parsed.args[0])
    if parsed["access"]:
        return _access(given, parsed)
    lines = given.target.logs(
        parsed.args[0],
        follow=parsed["follow"],
        tail=-1 if tail == "all" else int(tail),
        instances=parsed["instance"],
        services=parsed["service"],
    )
    if parsed["output"]:
        from wherry.cli.logbundle import write_bundle

        count = write_bundle(parsed["output"], parsed.args[0], lines)
        print(f"{parsed['output']}: {count} log{'' if count == 1 else 's'}")
        return 0
    said = False
    for line in lines:
        said = True
        if parsed["format"]:
            print(render_one(_values(line), parsed["format"]), flush=True)
            continue
        sys.stdout.buffer.write(shown(line))
        sys.stdout.buffer.flush()
    chosen = [*parsed["instance"], *parsed["service"]]
    if chosen and not said and tail != "0":
        raise NotFound(f"{parsed.args[0]} has no logs of {' and '.join(chosen)}")
    return 0


def _access(given: Parts, parsed: Parsed) -> int:
    """The last ones of those that are there, then with --follow those that come."""
    from collections import deque

    from wherry.deploy.sections import is_pool_of

    def is_wanted(one: AccessRecord) -> bool:
        services, instances = parsed["service"], parsed["instance"]
        is_of = not services or any(is_pool_of(one.pool, each) for each in services)
        return is_of and (not instances or one.instance in instances)

    def tell(one: AccessRecord) -> None:
        values = {**{key.capitalize(): value for key, value in one._asdict().items()}, "Time": _moment(one.time)}
        print(render_one(values, parsed["format"]) if parsed["format"] else access_line(one), flush=True)

    name, tail, now = parsed.args[0], parsed["tail"], system_clock() / 1e9
    before = (one for one in given.balancer.access(name) if one.time < now and is_wanted(one))
    for one in before if tail == "all" else deque(before, int(tail)):
        tell(one)
    for one in given.balancer.access(name, now, follow=True) if parsed["follow"] else ():
        if is_wanted(one):
            tell(one)
    return 0


def access_line(one: AccessRecord) -> str:
    """When, who, what, how it was answered, how long it took, and by which service of which instance."""
    whose = f"{one.instance}/{one.pool}" if one.instance else "-"
    return f'{_moment(one.time)} {one.client} "{one.method} {one.path}" {one.status} {one.milliseconds:.0f}ms {whose}'


def _moment(seconds: float) -> str:
    return rfc3339(round(seconds * 1000) * 1_000_000)


def _check(parsed: Parsed) -> None:
    """Raises UsageError where flags contradict each other."""
    if parsed["access"] and parsed["output"]:
        raise UsageError("--access and --output contradict each other")
    some = parsed.given & {"follow", "instance", "service", "tail"}
    if parsed["all"] and some - {"follow"}:
        raise UsageError(f"--all and --{min(some - {'follow'})} contradict each other")
    if parsed["output"] and parsed["format"]:
        raise UsageError("--output and --format contradict each other")
    if parsed["output"] and parsed["follow"]:
        raise UsageError("--output and --follow contradict each other")


def _values(line: LogLine) -> dict[str, str]:
    return {
        "Instance": line.instance,
        "Service": line.service,
        "Time": rfc3339(line.time),
        "Stream": {1: "stdout", 2: "stderr"}.get(line.stream, ""),
        "Text": line.data.decode(errors="replace").removesuffix("\n"),
    }


def shown(line: LogLine) -> bytes:
    """The line after its instance and service; accessories have no instance."""
    whose = f"{line.instance}/{line.service}" if line.instance else line.service
    return f"{whose}  | ".encode() + line.data.removesuffix(b"\n") + b"\n"


def _open(argv: list[str]) -> int:
    summary = "Print an environment's address, and on a desktop show it in the browser"
    parsed = Command("wherry env open", "[OPTIONS] NAME", summary, (ONE_FORMAT,), least=1, most=1).parse(argv)
    environments = opened(parts(), nobody)
    environment = environments.get(parsed.args[0])
    if environment.revision and not environments.extension(environment).routes:
        raise NotFound(f"{environment.name} has no address: version {environment.version} has no routes")
    url = environments.url(environment)
    if parsed["format"]:
        print(render_one({"Environment": environment.name, "URL": url}, parsed["format"]))
        return 0
    print(url, flush=True)
    if sys.stdout.isatty() and any(os.environ.get(name) for name in _DESKTOP):
        import webbrowser

        webbrowser.open(url)
    return 0
