"""What Wherry calls itself in the background: `ended` when a container has ended, `restart` to wait out a back-off,
`watch-health` to run health checks."""

from __future__ import annotations

import os

from wherry.cli.context import engine
from wherry.cli.flags import Command

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Do it; descriptors that were inherited (a monitor's may hold ports) are let go first."""
    os.closerange(3, 1024)
    usage = "ended|restart CONTAINER, watch-health NOTE"
    parsed = Command("wherry internal", usage, "For Wherry's own use", least=2, most=2).parse(argv[1:])
    what, container_id = parsed.args
    if what == "watch-health":
        return _watch_health()
    opened = engine(repair=False)
    if what == "ended":
        from wherry.runtime.monitor import wait_for_monitor

        wait_for_monitor(opened.layout.container_run(container_id), 60.0)
        opened.lifecycle.ended(container_id)
    opened.lifecycle.restart_when_due(container_id)
    return 0


def _watch_health() -> int:
    """Without the engine, which would only take memory."""
    from wherry.base.paths import Layout
    from wherry.engine.healthmonitor import HealthMonitor
    from wherry.engine.healthrecords import HealthRecords
    from wherry.store import Database

    layout = Layout.from_environment(os.environ, os.geteuid())
    database = Database(layout.database)
    HealthMonitor(layout, database, HealthRecords(database)).run()
    database.close()
    return 0
