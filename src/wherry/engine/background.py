"""What Wherry starts to go on without the command that started it: each is an own command line, nobody's child."""

from __future__ import annotations

import os
import sys

from wherry.base.files import read_text
from wherry.base.processes import is_living, start_orphan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.base.paths import Layout

__all__ = ["is_watching", "monitor_note", "own_command", "spawn_restart", "watch_health"]

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL")


def own_command(layout: Layout, verb: str, argument: str) -> tuple[str, ...]:
    """This installation's `wherry internal VERB ARGUMENT`, for others to execute."""
    environment = (f"WHERRY_ROOT={layout.root}", f"WHERRY_RUN={layout.run}")
    return ("/usr/bin/env", *environment, sys.executable, "-I", "-m", "wherry", "internal", verb, argument)


def _spawn(layout: Layout, verb: str, argument: str) -> None:
    env = {key: value for key, value in os.environ.items() if key in _PASSED_ON or key.startswith("WHERRY_")}
    start_orphan(own_command(layout, verb, argument), env=env)


def spawn_restart(layout: Layout, container_id: str) -> None:
    """Let a process of its own wait out the back-off and start the container again."""
    _spawn(layout, "restart", container_id)


def monitor_note(layout: Layout) -> str:
    """The file that tells which process runs the health checks."""
    return f"{layout.run}/health-monitor"


def is_watching(layout: Layout) -> bool:
    """Whether that process lives."""
    return is_living(read_text(monitor_note(layout)))


def watch_health(layout: Layout) -> None:
    """See to it that the installation's monitor of health checks lives; to be called when there is a check to run."""
    if not is_watching(layout):
        _spawn(layout, "watch-health", monitor_note(layout))
