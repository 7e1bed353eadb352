"""What every `compose` command shares: the project that its options name."""

from __future__ import annotations

import os
import sys

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from wherry.base.progress import Sink
    from wherry.cli.flags import Parsed
    from wherry.compose import Project, ProjectOptions
    from wherry.compose.actions import Plan
    from wherry.compose.apply import ApplyOptions
    from wherry.compose.engine import ComposeEngine
    from wherry.compose.state import ObservedContainer

__all__ = ["Invocation", "at_once", "chosen_containers", "hold", "print_plan", "project_or_none", "seconds", "warn"]


class Invocation(NamedTuple):
    """The options before the command; `parallel` -1 is without limit."""

    options: ProjectOptions
    ansi: str = "auto"  # never | always | auto
    progress: str = "auto"  # auto | tty | plain | json | quiet
    parallel: int = -1
    dry_run: bool = False
    all_resources: bool = False

    def project(self, services: Iterable[str] = ()) -> Project:
        """The project; the profiles of the services named are active."""
        from wherry.compose import load_project
        from wherry.compose.readers import DiskSource

        return load_project(self.options, DiskSource(), warn, services)

    def name(self) -> str:
        """The project's name, read from its files only where nothing else says it."""
        from wherry.compose.project import project_name
        from wherry.compose.readers import DiskSource

        return project_name(self.options, DiskSource(), warn)

    def engine(self) -> ComposeEngine:
        """The engine of the installation that the environment names."""
        from wherry.base.paths import Layout
        from wherry.compose.adapter import WherryEngine

        return WherryEngine(Layout.from_environment(os.environ, os.geteuid()))

    def apply_options(self, timeout: int | None = None) -> ApplyOptions:
        """How plans are carried out; `timeout` in seconds."""
        from wherry.compose.apply import ApplyOptions

        return ApplyOptions(timeout, self.parallel)

    def sink(self, *, quiet: bool = False) -> Sink:
        """Who is told of progress: standard error, in the style that was asked for."""
        from wherry.cli.composeprogress import ComposeProgress

        style = "quiet" if quiet else self.progress
        return ComposeProgress(sys.stderr, style, colours=self.colours(2))

    def says(self, variable: str) -> bool:
        """Whether an environment variable switches something on."""
        return self.options.environment.get(variable, "").lower() in ("1", "t", "true", "y", "yes", "on")

    def colours(self, stream: int = 1) -> bool:
        """Whether to write colours to the descriptor."""
        if self.ansi in ("never", "always"):
            return self.ansi == "always"
        return os.isatty(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def hold(engine: ComposeEngine, project: str) -> AbstractContextManager[None]:
    """Be the only command that changes the project; say so where that takes a while."""
    words = f"Waiting for another command that changes the project {project} ..."
    return engine.holding(project, lambda: print(words, file=sys.stderr, flush=True))


def warn(message: str) -> None:
    """Tell the user something that stops nothing."""
    print(f"WARNING: {message}", file=sys.stderr)


def seconds(parsed: Parsed, name: str = "timeout") -> int | None:
    """The value of `--timeout`, None where it was not given."""
    return int(parsed[name]) if name in parsed.given else None


def print_plan(plan: Plan) -> None:
    """`--dry-run`: what would be done."""
    from wherry.compose.actions import describe

    for warning in plan.warnings:
        warn(warning)
    for line in describe(plan):
        print(f"DRY-RUN MODE -  {line}")
    if not plan.steps:
        print("DRY-RUN MODE -  nothing to do: everything is as the Compose files want it")


def project_or_none(invocation: Invocation) -> Project | None:
    """The project, or None where only its name is given and there is no file: its containers say enough."""
    from wherry.base.errors import NotFound

    try:
        return invocation.project()
    except NotFound:
        invocation.name()
        return None


def chosen_containers(
    invocation: Invocation, engine: ComposeEngine, services: Iterable[str], *, one_off: bool = False, index: int = 0
) -> list[ObservedContainer]:
    """The project's containers, of these services where any are named. Raises NotFound for a service without any."""
    from wherry.base.errors import NotFound

    wanted = list(services)
    found = [one for one in engine.containers(invocation.name()) if one_off or not one.is_one_off]
    known = {one.service for one in found}
    if set(wanted) - known:
        project = project_or_none(invocation)
        for name in wanted:
            if name not in known and (project is None or name not in {*project.services, *project.disabled}):
                raise NotFound(f"no such service: {name}")
    found = [one for one in found if (not wanted or one.service in wanted) and index in (0, one.number)]
    return sorted(found, key=lambda one: (one.service, one.number, one.name))


def at_once(containers: Iterable[ObservedContainer], action: Callable[[ObservedContainer], None]) -> int:
    """Do `action` for every container at once; errors are told, and the exit code is then 1."""
    import threading

    from wherry.base.errors import WherryError

    failed: list[str] = []

    def one(container: ObservedContainer) -> None:
        try:
            action(container)
        except WherryError as error:
            failed.append(f"Container {container.name}: {error.message}")

    threads = [threading.Thread(target=one, args=(each,)) for each in containers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for words in sorted(failed):
        print(f"Error: {words}", file=sys.stderr)
    return 1 if failed else 0
