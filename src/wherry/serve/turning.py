"""A turn of the control loop: operations that were cut off are ended, and everything is measured."""

from __future__ import annotations

from wherry.base.errors import OperationFailed
from wherry.deploy.environments import Environments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.deploy.parts import Parts

__all__ = ["turn_of"]

_WHO = "wherry serve"


def turn_of(parts: Parts, measure: Callable[[], None]) -> Callable[[], None]:
    """What is to be done now and then."""

    def turn() -> None:
        measure()
        for operation in parts.records.journal.unfinished():
            try:
                Environments(parts, _WHO).recover(operation.environment)
            except OperationFailed:
                continue  # the operation has told it

    return turn
