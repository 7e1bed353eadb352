"""`compose logs`, `events` and `wait`: what happens."""

from __future__ import annotations

import json

from wherry.base.clock import rfc3339, system_clock
from wherry.base.errors import InvalidInput
from wherry.cli.composing import chosen_containers
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wherry.cli.composing import Invocation
    from wherry.compose.state import ObservedContainer

    _Seen = dict[str, ObservedContainer]

__all__ = ["changes", "run"]


def run(invocation: Invocation, argv: list[str]) -> int:
    """One of them."""
    verbs: dict[str, Callable[[Invocation, list[str]], int]] = {"logs": _logs, "events": _events, "wait": _wait}
    return verbs[argv[0]](invocation, argv[1:])


def _logs(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("follow", "bool", "Go on until the containers end", short="f"),
        Flag("index", "int", "Number of the container, where the service has several"),
        Flag("no-color", "bool", "Produce monochrome output"),
        Flag("no-log-prefix", "bool", "Do not print names before lines"),
        Flag("since", "str", "Only what is younger (time, or duration such as 10m)"),
        Flag("tail", "str", "Only the last lines of each container (a number, or all)", short="n", default="all"),
        Flag("timestamps", "bool", "Show times", short="t"),
        Flag("until", "str", "Only what is older"),
    )
    usage = "[OPTIONS] [SERVICE...]"
    parsed = Command("wherry compose logs", usage, "View output from containers", flags).parse(argv)
    from wherry.cli.composelogs import LogPrinter
    from wherry.cli.verbs.logs import parse_moment
    from wherry.compose.following import Follower, LogOptions, merged_logs

    if parsed["tail"] != "all" and not parsed["tail"].isdigit():
        raise InvalidInput(f'invalid value for "tail": "{parsed["tail"]}"', hint="a number of lines, or all")
    tail = -1 if parsed["tail"] == "all" else int(parsed["tail"])
    engine = invocation.engine()
    found = chosen_containers(invocation, engine, parsed.args, one_off=True, index=parsed["index"])
    colours = invocation.colours() and not parsed["no-color"]
    printer = LogPrinter(
        invocation.name(), prefix=not parsed["no-log-prefix"], colours=colours, timestamps=parsed["timestamps"]
    )
    printer.expect(one.name for one in found)
    since, until = parse_moment(parsed["since"]), parse_moment(parsed["until"])
    options = LogOptions(parsed["follow"], tail, since, until)
    if not parsed["follow"]:
        for one, record in merged_logs(engine, found, options):
            printer(one, record)
        return 0
    follower = Follower(engine, printer, options)
    follower.add(found)
    while follower.next_end() is not None:
        continue
    return 0


def _events(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("json", "bool", "One JSON object for each event"),
        Flag("since", "str", "Show events from then on", unsupported="events are not kept"),
        Flag("until", "str", "Show events until then", unsupported="events are not kept"),
    )
    usage = "[OPTIONS] [SERVICE...]"
    parsed = Command("wherry compose events", usage, "Receive real time events from containers", flags).parse(argv)
    engine, name = invocation.engine(), invocation.name()

    def observed() -> dict[str, ObservedContainer]:
        found = [one for one in engine.containers(name) if not parsed.args or one.service in parsed.args]
        return {one.id: one for one in found}

    before = observed()
    while True:
        now = engine.wait_until(_differs(observed, before))
        assert now is not None
        for action, one in changes(before, now):
            print(_event(action, one, as_json=parsed["json"]), flush=True)
        before = now


def _differs(observe: Callable[[], _Seen], before: _Seen) -> Callable[[], _Seen | None]:
    """A condition: what is observed is not what was."""

    def differs() -> _Seen | None:
        now = observe()
        return None if now == before else now

    return differs


def changes(
    before: dict[str, ObservedContainer], now: dict[str, ObservedContainer]
) -> Iterator[tuple[str, ObservedContainer]]:
    """What must have happened between two looks, in Docker's words."""
    for identifier, one in before.items():
        if identifier not in now:
            if one.is_running:
                yield "die", one
            yield "destroy", one
    for identifier, one in now.items():
        old = before.get(identifier)
        if old is None:
            yield "create", one
        yield from ((action, one) for action in _actions(old, one))


def _actions(old: ObservedContainer | None, one: ObservedContainer) -> Iterator[str]:
    was = old.status if old is not None else "created"
    if old is not None and old.name != one.name:
        yield "rename"
    if was != one.status:
        if one.status == "paused":
            yield "pause"
        elif was == "paused" and one.status == "running":
            yield "unpause"
        elif one.status == "running":
            yield "start"
        elif was in ("running", "paused"):
            yield "die"
    if old is not None and one.health and old.health != one.health:
        yield f"health_status: {one.health}"


def _event(action: str, one: ObservedContainer, *, as_json: bool) -> str:
    time = rfc3339(system_clock())
    if not as_json:
        return f"{time} container {action} {one.id} (image={one.image}, name={one.name})"
    attributes = {"name": one.name, "image": one.image}
    told = {"time": time, "type": "container", "service": one.service, "id": one.id, "action": action}
    return json.dumps({**told, "attributes": attributes})


def _wait(invocation: Invocation, argv: list[str]) -> int:
    flags = (Flag("down-project", "bool", "Take the project down when the first container stops"),)
    usage = "SERVICE [SERVICE...] [OPTIONS]"
    summary = "Block until containers of all (or specified) services stop."
    parsed = Command("wherry compose wait", usage, summary, flags, least=1).parse(argv)
    engine = invocation.engine()
    left = {one.id: one for one in chosen_containers(invocation, engine, parsed.args)}
    code = 0
    while left:

        def first_end() -> ObservedContainer | None:
            for identifier, known in left.items():
                one = engine.container(identifier)
                if one is None or not one.is_running:
                    return one or known
            return None

        ended = engine.wait_until(first_end)
        assert ended is not None
        del left[ended.id]
        code = ended.exit_code
        print(code, flush=True)
        if parsed["down-project"]:
            from wherry.cli.verbs import compose_down

            compose_down.run(invocation, ["down"])
            break
    return code
