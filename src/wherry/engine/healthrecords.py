"""The health of containers as the database knows it; light enough for a process that does nothing else."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.engine.health import LOG_LENGTH, Health, HealthResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.store.database import Database

__all__ = ["CheckedRun", "HealthRecords"]


class CheckedRun(NamedTuple):
    """One run of a container that has a check; `started` (nanoseconds since the epoch) tells it from others."""

    container_id: str
    status: str
    started: int
    health: Health

    @property
    def key(self) -> tuple[str, int]:
        """Never the same for two runs."""
        return self.container_id, self.started


class HealthRecords:
    """Results and what they amount to. The tables are those of `ContainerRecords`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def runs(self) -> list[CheckedRun]:
        """Every container with a check that runs, is paused, or will run again by itself."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, status, started, health, health_streak FROM containers"
                " WHERE health != '' AND status IN ('starting', 'running', 'paused', 'restarting')"
            ).fetchall()
        return [CheckedRun(key, status, started, Health(*health)) for key, status, started, *health in rows]

    def record(self, run: CheckedRun, health: Health, result: HealthResult) -> None:
        """Add a result and set what it makes of the container, unless that run is over or paused."""
        with self._database.write() as connection:
            changed = connection.execute(
                "UPDATE containers SET health = ?, health_streak = ?"
                " WHERE id = ? AND started = ? AND status = 'running'",
                (*health, run.container_id, run.started),
            )
            if not changed.rowcount:
                return
            connection.execute(
                "INSERT OR REPLACE INTO health_results VALUES (?, ?, ?, ?, ?)", (run.container_id, *result)
            )
            connection.execute(
                "DELETE FROM health_results WHERE container = ?1 AND started NOT IN"
                " (SELECT started FROM health_results WHERE container = ?1 ORDER BY started DESC LIMIT ?2)",
                (run.container_id, LOG_LENGTH),
            )

    def results(self, container_id: str) -> list[HealthResult]:
        """The last results, the oldest first; those of an earlier run too, as Docker keeps them."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT started, ended, exit_code, output FROM health_results WHERE container = ? ORDER BY started",
                (container_id,),
            ).fetchall()
        return [HealthResult(*row) for row in rows]

    def last_end(self, run: CheckedRun) -> int:
        """When the last check of this run ended; 0 where there was none."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT max(ended) FROM health_results WHERE container = ? AND started >= ?", run.key
            ).fetchone()
        return row[0] or 0
