"""What Wherry calls itself in the background: `ended` when a container has ended, `restart` to wait out a back-off."""

from __future__ import annotations

import os

from wherry.cli.context import engine
from wherry.cli.flags import Command

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Do it; the monitor's descriptors, which may hold ports, are let go first."""
    os.closerange(3, 1024)
    parsed = Command("wherry internal", "ended|restart CONTAINER", "For Wherry's own use", least=2, most=2).parse(
        argv[1:]
    )
    what, container_id = parsed.args
    opened = engine(repair=False)
    if what == "ended":
        from wherry.runtime.monitor import wait_for_monitor

        wait_for_monitor(opened.layout.container_run(container_id), 60.0)
        opened.lifecycle.ended(container_id)
    opened.lifecycle.restart_when_due(container_id)
    return 0
