"""`compose up` and `compose create`."""

from __future__ import annotations

import sys

from wherry.base.clock import system_clock
from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.cli.composing import hold, print_plan, seconds, warn
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.base.progress import Sink
    from wherry.cli.composing import Invocation
    from wherry.cli.flags import Parsed
    from wherry.compose import Project
    from wherry.compose.actions import Plan
    from wherry.compose.apply import ApplyOptions
    from wherry.compose.building import ImagePlan
    from wherry.compose.engine import ComposeEngine
    from wherry.compose.plan import UpOptions
    from wherry.compose.state import State

__all__ = ["run"]

_CREATE_FLAGS = (
    Flag("build", "bool", "Build images before starting containers"),
    Flag("force-recreate", "bool", "Recreate containers even if nothing changed"),
    Flag("no-build", "bool", "Do not build an image, even if it is missing"),
    Flag("no-recreate", "bool", "Keep containers that exist as they are"),
    Flag("pull", "str", "Pull images before running (always, missing, never)"),
    Flag("quiet-pull", "bool", "Pull without progress"),
    Flag("remove-orphans", "bool", "Remove containers of services that the Compose file does not have"),
    Flag("scale", "list", "Number of containers of a service (SERVICE=NUMBER)"),
    Flag("yes", "bool", "Answer every question with yes", short="y"),
)
_LATER = "it is not supported yet"
_UP_FLAGS = (
    *_CREATE_FLAGS,
    Flag("abort-on-container-exit", "bool", "Stop all containers when one of them ends"),
    Flag("abort-on-container-failure", "bool", "Stop all containers when one of them fails"),
    Flag("always-recreate-deps", "bool", "Recreate dependent containers too"),
    Flag("attach", "list", "Show only the output of these services"),
    Flag("attach-dependencies", "bool", "Show the output of dependencies too"),
    Flag("detach", "bool", "Run containers in the background", short="d"),
    Flag("exit-code-from", "str", "Return the exit code of this service's container; stops all when one ends"),
    Flag("menu", "bool", "Shortcuts while attached", unsupported=_LATER),
    Flag("no-attach", "list", "Do not show the output of these services"),
    Flag("no-color", "bool", "Produce monochrome output"),
    Flag("no-deps", "bool", "Do not start linked services"),
    Flag("no-log-prefix", "bool", "Do not print names before lines"),
    Flag("no-start", "bool", "Do not start the services after creating them"),
    Flag("quiet-build", "bool", "Build without progress"),
    Flag("renew-anon-volumes", "bool", "Begin with empty anonymous volumes", short="V"),
    Flag("timeout", "int", "Seconds that containers may take to stop", short="t"),
    Flag("timestamps", "bool", "Show times"),
    Flag("wait", "bool", "Wait until services run or are healthy; implies --detach"),
    Flag("wait-timeout", "int", "Most seconds to wait for the project to run or be healthy"),
    Flag("watch", "bool", "Rebuild when files change", short="w", unsupported=_LATER),
)
_EXCLUDING = (
    ("build", "no-build"),
    ("force-recreate", "no-recreate"),
    ("detach", "abort-on-container-exit"),
    ("detach", "abort-on-container-failure"),
    ("abort-on-container-exit", "abort-on-container-failure"),
)


class _Making(NamedTuple):
    """What the command line comes to."""

    invocation: Invocation
    parsed: Parsed
    engine: ComposeEngine
    project: Project
    options: UpOptions
    sink: Sink


def run(invocation: Invocation, argv: list[str]) -> int:
    """Make what the files want, and stay with it unless told otherwise."""
    summary = "Create and start containers" if argv[0] == "up" else "Create containers for a service"
    flags = _UP_FLAGS if argv[0] == "up" else _CREATE_FLAGS
    parsed = Command(f"wherry compose {argv[0]}", "[OPTIONS] [SERVICE...]", summary, flags).parse(argv[1:])
    for one, other in _EXCLUDING:
        if parsed.get(one, False) and parsed.get(other, False):
            raise InvalidInput(f"--{one} and --{other} are incompatible")
    making = _prepare(invocation, parsed, start=argv[0] == "up" and not parsed["no-start"])
    images = _plan_images(making)
    if invocation.dry_run:
        _print_images(making.project, images)
        print_plan(_plan(making)[0])
        return 0
    return _make(making, images)


def _prepare(invocation: Invocation, parsed: Parsed, *, start: bool) -> _Making:
    from wherry.compose.converging import scaled
    from wherry.compose.plan import UpOptions
    from wherry.compose.project import select, without_unused

    whole = invocation.project(parsed.args)
    if not whole.services:
        raise InvalidInput("no service selected", hint="the Compose file has none, or none of an active profile")
    whole = scaled(whole, _scales(parsed["scale"]))
    project = without_unused(select(whole, parsed.args, dependencies=not parsed.get("no-deps", False)))
    policy = "force" if parsed["force-recreate"] else "never" if parsed["no-recreate"] else "diverged"
    others = "force" if parsed.get("always-recreate-deps", False) else policy if policy == "never" else "diverged"
    options = UpOptions(
        recreate=policy,
        recreate_dependencies=others,
        targets=tuple(parsed.args),
        known=tuple({*whole.services, *whole.disabled}),
        start=start,
        remove_orphans=parsed["remove-orphans"] or invocation.says("COMPOSE_REMOVE_ORPHANS"),
        ignore_orphans=invocation.says("COMPOSE_IGNORE_ORPHANS"),
        renew_anonymous_volumes=parsed.get("renew-anon-volumes", False),
    )
    return _Making(invocation, parsed, invocation.engine(), project, options, invocation.sink())


def _scales(given: list[str]) -> dict[str, int]:
    scales = {}
    for text in given:
        name, _, number = text.partition("=")
        if not number.isdigit():
            raise InvalidInput(f"invalid --scale option {text}: should be SERVICE=NUM")
        scales[name] = int(number)
    return scales


def _plan_images(making: _Making) -> ImagePlan:
    from wherry.compose.building import plan_images

    names = [one.image_name(making.project.name) for one in making.project.services.values()]
    parsed = making.parsed
    if parsed["pull"] not in ("", "always", "missing", "never", "build"):
        raise InvalidInput(f'invalid --pull option "{parsed["pull"]}"', hint="always, missing or never")
    present = making.engine.image_ids(names)
    build, no_build = parsed["build"], parsed["no-build"]
    return plan_images(making.project, present, build=build, no_build=no_build, pull=parsed["pull"])


def _print_images(project: Project, images: ImagePlan) -> None:
    for word, names in (("Pull", images.pull), ("Build", images.build)):
        for name in names:
            print(f"DRY-RUN MODE -  Image {project.services[name].image_name(project.name)}  {word}")


def _plan(making: _Making) -> tuple[Plan, State]:
    from wherry.compose.converging import observe
    from wherry.compose.plan import plan_up

    state = observe(making.engine, making.project.name, making.project)
    return plan_up(making.project, state, making.options), state


def _make(making: _Making, images: ImagePlan) -> int:
    from wherry.compose.converging import carry_out, ensure_images
    from wherry.compose.waiting import wait_until_ready

    parsed, project = making.parsed, making.project
    building = making.invocation.sink(quiet=True) if parsed.get("quiet-build", False) else making.sink
    ensure_images(making.engine, project, images, building, quiet_pull=parsed["quiet-pull"])
    options = making.invocation.apply_options(seconds(parsed) if making.options.start else None)
    waits = making.options.start and (parsed["wait"] or "wait-timeout" in parsed.given)
    if making.options.start and not waits and not parsed["detach"]:
        return _Attached(making, system_clock()).run(options)
    with hold(making.engine, project.name):
        plan, state = _plan(making)
        carry_out(making.engine, project, state, plan, making.sink, options)
    if waits:
        wait_until_ready(making.engine, project, parsed["wait-timeout"] or None)
    return 0


class _Attached:
    """`up` in the foreground: the output of all, until all have ended or the user has had enough."""

    def __init__(self, making: _Making, began: int) -> None:
        from wherry.cli.composelogs import LogPrinter
        from wherry.compose.following import Follower, LogOptions

        parsed = making.parsed
        self._making = making
        colours = making.invocation.colours() and not parsed["no-color"]
        self._printer = LogPrinter(
            making.project.name,
            prefix=not parsed["no-log-prefix"],
            colours=colours,
            timestamps=parsed["timestamps"],
        )
        self._follower = Follower(making.engine, self._printer, LogOptions(follow=True, since=began))
        self._from = parsed["exit-code-from"]
        if self._from and self._from not in making.project.services:
            raise InvalidInput(f"no such service: {self._from}")

    def run(self, options: ApplyOptions) -> int:
        restore = _interrupt_on_sigterm()
        try:
            with hold(self._making.engine, self._making.project.name):
                self._converge(options)
            return self._stay()
        except KeyboardInterrupt:
            return self._interrupted()
        finally:
            restore()
            self._follower.stop()

    def _converge(self, options: ApplyOptions) -> None:
        from wherry.compose.converging import carry_out

        making = self._making
        plan, state = _plan(making)
        wanted = self._shown()
        unchanged = [one for one in state.containers if one.name in plan.unchanged and one.service in wanted]
        self._follower.add(unchanged)
        options = options._replace(on_start=lambda one: self._follower.add([one] if one.service in wanted else []))
        carry_out(making.engine, making.project, state, plan, making.sink, options)

    def _shown(self) -> set[str]:
        """The services whose output is shown."""
        from wherry.compose.plan import container_name

        making, parsed = self._making, self._making.parsed
        wanted = set(parsed["attach"]) or set(making.project.services)
        if parsed.args and not parsed["attach"] and not parsed["attach-dependencies"]:
            wanted = set(parsed.args)
        quiet = {name for name, one in making.project.services.items() if one.config.get("attach") is False}
        wanted -= {*parsed["no-attach"], *(quiet - set(parsed["attach"]))}
        from wherry.cli.composelogs import short_name

        names = [
            container_name(making.project.name, service, number)
            for name, service in making.project.services.items()
            for number in range(1, service.scale + 1)
            if name in wanted
        ]
        shown = ", ".join(sorted(short_name(making.project.name, name) for name in names))
        print(f"Attaching to {shown}", file=sys.stderr, flush=True)
        self._printer.expect(names)
        return wanted

    def _stay(self) -> int:
        from wherry.cli.composelogs import short_name

        parsed = self._making.parsed
        while (ended := self._follower.next_end()) is not None:
            name = short_name(self._making.project.name, ended.container.name)
            self._printer.say(f"{name} exited with code {ended.exit_code}")
            failed = parsed["abort-on-container-failure"] and ended.exit_code
            if parsed["abort-on-container-exit"] or self._from or failed:
                warn("Aborting on container exit...")
                self._stop()
                return self._code_of(self._from) if self._from else ended.exit_code
        return 0

    def _code_of(self, service: str) -> int:
        found = self._making.engine.containers(self._making.project.name)
        return next((one.exit_code for one in found if one.service == service and not one.is_one_off), 0)

    def _stop(self) -> None:
        from wherry.compose.converging import carry_out
        from wherry.compose.state import State
        from wherry.compose.teardown import plan_stop, service_edges

        making = self._making
        with hold(making.engine, making.project.name):
            every = making.engine.containers(making.project.name)
            mine = [one for one in every if one.service in making.project.services]
            plan = plan_stop(mine, service_edges(making.project, mine))
            options = making.invocation.apply_options(seconds(making.parsed))._replace(patient=False)
            carry_out(making.engine, None, State(), plan, making.sink, options)

    def _interrupted(self) -> int:
        try:
            print("Gracefully Stopping... press Ctrl+C again to force", file=sys.stderr, flush=True)
            self._stop()
        except KeyboardInterrupt:
            from wherry.cli.composing import at_once

            making = self._making
            running = [one for one in making.engine.containers(making.project.name) if one.is_running]
            at_once(running, lambda one: making.engine.kill(one.id, "SIGKILL"))
        return 130


def _interrupt_on_sigterm() -> Callable[[], object]:
    """Let SIGTERM do what Ctrl-C does; what to call to undo that."""
    import signal

    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    return lambda: signal.signal(signal.SIGTERM, previous)
