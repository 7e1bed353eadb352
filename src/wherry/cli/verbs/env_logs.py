"""`env logs` and `env open`: what an environment's services wrote, and where it answers."""

from __future__ import annotations

import os
import sys

from wherry.base.clock import rfc3339
from wherry.base.errors import InvalidInput, NotFound, UsageError
from wherry.base.progress import nobody
from wherry.cli.deploying import ONE_FORMAT, opened, parts
from wherry.cli.flags import Command, Flag
from wherry.cli.output import render_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed
    from wherry.deploy.target import LogLine

__all__ = ["run", "shown"]

_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")  # one of which is set where there is something to show pages on


def run(argv: list[str]) -> int:
    """One of them."""
    return {"logs": _logs, "open": _open}[argv[0]](argv[1:])


def _logs(argv: list[str]) -> int:
    flags = (
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


def _check(parsed: Parsed) -> None:
    """Raises UsageError where flags contradict each other."""
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
