"""Operations as they are written down: what is wanted, the steps, how far they came. What is here survives a kill.

An operation that has not ended and whose environment's lock nobody holds was cut off; see `operations.py`.
"""

from __future__ import annotations

import json

from wherry.base.values import NamedTuple
from wherry.deploy.steps import decode_step, encode_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.deploy.steps import Stage, Step
    from wherry.deploy.wish import Wish
    from wherry.store.database import Database

__all__ = ["Journal", "Operation", "StepRecord"]

_OPERATION = "id, environment, kind, who, started, wish, state, abort_by, cause, ended"
_KEPT = 50  # ended operations of each environment


class Operation(NamedTuple):
    """One operation. `state` is running, undoing, done, undone or broken; `abort_by` who asked to end it."""

    id: int
    environment: str
    kind: str
    who: str
    started: int
    wish: Wish
    state: str
    abort_by: str = ""
    cause: str = ""
    ended: int = 0


class StepRecord(NamedTuple):
    """One step; those of one stage may be done at once. `state` is waiting, running, done, failed or dropped."""

    position: int
    stage: int
    step: Step
    state: str
    started: int = 0
    ended: int = 0
    error: str = ""


class Journal:
    """The operations of one installation."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    def begin(self, environment: str, kind: str, who: str, wish: Wish, stages: Sequence[Stage]) -> Operation:
        """Write an operation down with all its steps."""
        query = (
            "INSERT INTO operations (environment, kind, who, started, wish, state) VALUES (?, ?, ?, ?, ?, 'running')"
        )
        with self._database.write() as connection:
            values = (environment, kind, who, self._clock(), json.dumps(wish._asdict()))
            identifier = int(connection.execute(query, values).lastrowid or 0)
            self._add(identifier, stages)
            connection.execute(
                "DELETE FROM operations WHERE environment = ? AND ended > 0 AND id NOT IN"
                " (SELECT id FROM operations WHERE environment = ? ORDER BY id DESC LIMIT ?)",
                (environment, environment, _KEPT),
            )
        return self.operation(identifier)

    def turn(self, operation: Operation, cause: str, stages: Sequence[Stage]) -> Operation:
        """From now on it is being undone, by these steps; what was still to be done is dropped."""
        with self._database.write() as connection:
            connection.execute("UPDATE operations SET state = 'undoing', cause = ? WHERE id = ?", (cause, operation.id))
            connection.execute(
                "UPDATE operation_steps SET state = 'dropped' WHERE operation = ? AND state IN ('waiting', 'running')",
                (operation.id,),
            )
            self._add(operation.id, stages)
        return self.operation(operation.id)

    def _add(self, operation: int, stages: Sequence[Stage]) -> None:
        with self._database.write() as connection:
            (position, stage) = connection.execute(
                "SELECT coalesce(max(position), -1) + 1, coalesce(max(stage), -1) + 1 FROM operation_steps"
                " WHERE operation = ?",
                (operation,),
            ).fetchone()
            for number, steps in enumerate(stages, stage):
                for step in steps:
                    row = (operation, position, number, json.dumps(encode_step(step)))
                    connection.execute(
                        "INSERT INTO operation_steps (operation, position, stage, step) VALUES (?, ?, ?, ?)", row
                    )
                    position += 1

    def operation(self, identifier: int) -> Operation:
        """It must exist."""
        return self._operations("id = ?", (identifier,))[0]

    def pending(self, environment: str) -> Operation | None:
        """The operation of the environment that has not ended."""
        found = self._operations("environment = ? AND ended = 0", (environment,))
        return found[0] if found else None

    def unfinished(self) -> list[Operation]:
        """All operations that have not ended."""
        return self._operations("ended = 0", ())

    def operations(self, environment: str) -> list[Operation]:
        """Those of an environment, the newest first."""
        return self._operations("environment = ?", (environment,))

    def last_end(self, environment: str, kind: str) -> int:
        """When the last operation of a kind ended, 0 for never (as far as they are kept)."""
        query = "SELECT coalesce(max(ended), 0) FROM operations WHERE environment = ? AND kind = ?"
        with self._database.read() as connection:
            return int(connection.execute(query, (environment, kind)).fetchone()[0])

    def _operations(self, condition: str, values: tuple[str | int, ...]) -> list[Operation]:
        from wherry.deploy.wish import decode_wish

        query = f"SELECT {_OPERATION} FROM operations WHERE {condition} ORDER BY id DESC"  # noqa: S608
        with self._database.read() as connection:
            rows = connection.execute(query, values).fetchall()
        return [Operation._make((*row[:5], decode_wish(json.loads(row[5])), *row[6:])) for row in rows]

    def steps(self, operation: Operation) -> list[StepRecord]:
        """In the order in which they are done."""
        query = (
            "SELECT position, stage, step, state, started, ended, error FROM operation_steps WHERE operation = ?"
            " ORDER BY position"
        )
        with self._database.read() as connection:
            rows = connection.execute(query, (operation.id,)).fetchall()
        return [StepRecord._make((*row[:2], decode_step(json.loads(row[2])), *row[3:])) for row in rows]

    def mark(self, operation: Operation, position: int, state: str, error: str = "") -> None:
        """Write down where a step is."""
        column = "started" if state == "running" else "ended"
        query = f"UPDATE operation_steps SET state = ?, error = ?, {column} = ? WHERE operation = ? AND position = ?"  # noqa: S608
        with self._database.write() as connection:
            connection.execute(query, (state, error, self._clock(), operation.id, position))

    def end(self, operation: Operation, state: str, cause: str = "") -> None:
        """Write down how it ended."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE operations SET state = ?, cause = ?, ended = ? WHERE id = ?",
                (state, cause, self._clock(), operation.id),
            )

    def ask_abort(self, environment: str, who: str) -> Operation | None:
        """Ask for the end of the operation that is under way; which one that is, None where there is none."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE operations SET abort_by = ? WHERE environment = ? AND ended = 0 AND abort_by = ''",
                (who, environment),
            )
        return self.pending(environment)

    def aborted_by(self, operation: Operation) -> str:
        """Who asked for its end; empty where nobody did."""
        with self._database.read() as connection:
            row = connection.execute("SELECT abort_by FROM operations WHERE id = ?", (operation.id,)).fetchone()
        return str(row[0]) if row else ""
