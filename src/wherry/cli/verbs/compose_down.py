"""`compose down`, and what is done to containers that are there: start, stop, restart, kill, rm, pause, unpause."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.cli.composing import at_once, chosen_containers, hold, print_plan, project_or_none, seconds, warn
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.composing import Invocation
    from wherry.compose import Project
    from wherry.compose.actions import Plan
    from wherry.compose.engine import ComposeEngine
    from wherry.compose.state import ObservedContainer, State

__all__ = ["run"]

_TIMEOUT = Flag("timeout", "int", "Seconds that containers may take to stop", short="t")


def run(invocation: Invocation, argv: list[str]) -> int:
    """One of them."""
    verbs: dict[str, Callable[[Invocation, list[str]], int]] = {
        "down": _down,
        "start": _start,
        "stop": _stop,
        "restart": _restart,
        "kill": _kill,
        "rm": _remove,
        "pause": _pause,
        "unpause": _pause,
    }
    return verbs[argv[0]](invocation, argv)


def _down(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("remove-orphans", "bool", "Remove containers of services that the Compose file does not have"),
        Flag("rmi", "str", "Remove images of the services (local: those without a name of their own; all)"),
        _TIMEOUT,
        Flag("volumes", "bool", "Remove named volumes of the Compose file and anonymous volumes", short="v"),
    )
    usage = "[OPTIONS] [SERVICES]"
    parsed = Command("wherry compose down", usage, "Stop and remove containers, networks", flags).parse(argv[1:])
    if parsed["rmi"] not in ("", "all", "local"):
        raise InvalidInput(f'invalid value for --rmi: "{parsed["rmi"]}"', hint="local or all")
    from wherry.compose.project import without_unused
    from wherry.compose.teardown import DownOptions

    project = project_or_none(invocation)
    if project is not None and not invocation.all_resources:
        project = without_unused(project)
    orphans = parsed["remove-orphans"] or invocation.says("COMPOSE_REMOVE_ORPHANS")
    options = DownOptions(tuple(parsed.args), parsed["volumes"], parsed["rmi"], orphans)
    name = project.name if project else invocation.name()
    engine = invocation.engine()

    def plan() -> Plan:
        from wherry.compose.converging import observe
        from wherry.compose.teardown import plan_down

        plan = plan_down(name, project, observe(engine, name, project), options)
        if not plan.steps and not invocation.dry_run:
            warn("No resource found to remove")
        return plan

    return _carry_out(invocation, engine, name, plan, seconds(parsed))


def _carry_out(
    invocation: Invocation, engine: ComposeEngine, project: str, plan: Callable[[], Plan], timeout: int | None = None
) -> int:
    """Plan and do it, while nobody else changes the project."""
    from wherry.compose.converging import carry_out
    from wherry.compose.state import State

    if invocation.dry_run:
        print_plan(plan())
        return 0
    with hold(engine, project):
        carry_out(engine, None, State(), plan(), invocation.sink(), invocation.apply_options(timeout))
    return 0


def _start(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("wait", "bool", "Wait until services run or are healthy"),
        Flag("wait-timeout", "int", "Most seconds to wait"),
    )
    parsed = Command("wherry compose start", "[SERVICE...]", "Start services", flags).parse(argv[1:])
    from wherry.compose.converging import carry_out
    from wherry.compose.project import select
    from wherry.compose.waiting import wait_until_ready

    project = select(invocation.project(parsed.args), parsed.args)
    engine = invocation.engine()
    if invocation.dry_run:
        print_plan(_plan_start(engine, project, parsed.args)[0])
        return 0
    with hold(engine, project.name):
        plan, state = _plan_start(engine, project, parsed.args)
        carry_out(engine, project, state, plan, invocation.sink(), invocation.apply_options())
    if parsed["wait"]:
        wait_until_ready(engine, project, parsed["wait-timeout"] or None)
    return 0


def _plan_start(engine: ComposeEngine, project: Project, named: list[str]) -> tuple[Plan, State]:
    from wherry.base.errors import NotFound
    from wherry.compose.converging import observe
    from wherry.compose.plan import plan_start

    state = observe(engine, project.name, project)
    for name, service in project.services.items():
        if not state.of_service(name) and (service.scale or name in named):
            raise NotFound(f'service "{name}" has no container to start', hint="`wherry compose up` makes it")
    return plan_start(project, state), state


def _stop(invocation: Invocation, argv: list[str]) -> int:
    parsed = Command("wherry compose stop", "[OPTIONS] [SERVICE...]", "Stop services", (_TIMEOUT,)).parse(argv[1:])
    engine = invocation.engine()

    def plan() -> Plan:
        from wherry.compose.teardown import plan_stop, service_edges

        containers = chosen_containers(invocation, engine, parsed.args)
        return plan_stop(containers, service_edges(project_or_none(invocation), containers))

    return _carry_out(invocation, engine, invocation.name(), plan, seconds(parsed))


def _restart(invocation: Invocation, argv: list[str]) -> int:
    flags = (Flag("no-deps", "bool", "Do not restart dependent services"), _TIMEOUT)
    usage = "[OPTIONS] [SERVICE...]"
    parsed = Command("wherry compose restart", usage, "Restart service containers", flags).parse(argv[1:])
    engine = invocation.engine()

    def plan() -> Plan:
        from wherry.compose.teardown import plan_restart, service_edges

        containers = chosen_containers(invocation, engine, parsed.args)
        edges = service_edges(project_or_none(invocation), containers)
        return plan_restart(containers, edges, dependencies=not parsed["no-deps"])

    return _carry_out(invocation, engine, invocation.name(), plan, seconds(parsed))


def _kill(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("remove-orphans", "bool", "Kill containers of services that the Compose file does not have too"),
        Flag("signal", "str", "Signal to send", short="s", default="SIGKILL"),
    )
    usage = "[OPTIONS] [SERVICE...]"
    parsed = Command("wherry compose kill", usage, "Force stop service containers", flags).parse(argv[1:])
    engine = invocation.engine()
    chosen = chosen_containers(invocation, engine, parsed.args)
    running = [one for one in chosen if one.status in ("running", "paused")]
    return _each(invocation, running, "Kill", lambda one: engine.kill(one.id, parsed["signal"]))


def _remove(invocation: Invocation, argv: list[str]) -> int:
    flags = (
        Flag("force", "bool", "Do not ask", short="f"),
        Flag("stop", "bool", "Stop the containers first", short="s"),
        Flag("volumes", "bool", "Remove anonymous volumes of the containers too", short="v"),
    )
    usage = "[OPTIONS] [SERVICE...]"
    parsed = Command("wherry compose rm", usage, "Remove stopped service containers", flags).parse(argv[1:])
    from wherry.cli.group import confirm

    engine = invocation.engine()
    chosen = chosen_containers(invocation, engine, parsed.args, one_off=not parsed.args)
    if parsed["stop"] and not invocation.dry_run:
        at_once([one for one in chosen if one.is_running], lambda one: engine.stop(one.id, None))
        chosen = chosen_containers(invocation, engine, parsed.args, one_off=not parsed.args)
    stopped = [one for one in chosen if not one.is_running or (parsed["stop"] and invocation.dry_run)]
    if not stopped:
        print("No stopped containers")
        return 0
    names = ", ".join(one.name for one in stopped)
    if not parsed["force"] and not invocation.dry_run and not confirm(f"This will remove {names}."):
        return 0
    with hold(engine, invocation.name()):
        return _each(invocation, stopped, "Remove", lambda one: engine.remove(one.id, volumes=parsed["volumes"]))


def _pause(invocation: Invocation, argv: list[str]) -> int:
    word = argv[0]
    parsed = Command(f"wherry compose {word}", "[SERVICE...]", f"{word.capitalize()} services").parse(argv[1:])
    engine = invocation.engine()
    wanted = "running" if word == "pause" else "paused"
    chosen = [one for one in chosen_containers(invocation, engine, parsed.args) if one.status == wanted]
    return _each(invocation, chosen, word.capitalize(), lambda one: engine.pause(one.id, resume=word == "unpause"))


def _each(
    invocation: Invocation,
    containers: list[ObservedContainer],
    word: str,
    action: Callable[[ObservedContainer], None],
) -> int:
    if invocation.dry_run:
        for one in containers:
            print(f"DRY-RUN MODE -  Container {one.name}  {word}")
        return 0
    from wherry.base.progress import Finished, Started

    sink = invocation.sink()
    doing = {"Kill": "Killing", "Remove": "Removing", "Pause": "Pausing", "Unpause": "Unpausing"}[word]

    def told(one: ObservedContainer) -> None:
        sink(Started(one.name, f"Container {one.name}  {doing}"))
        action(one)
        sink(Finished(one.name))

    return at_once(containers, told)
