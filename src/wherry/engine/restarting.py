"""Restart policies: whether a container that has ended starts again, and after which back-off. Pure.

Docker's rules (Engine API 1.41 `RestartPolicy`; moby's restartmanager): 100 ms, doubled at each restart, at most a
minute, and from the beginning after a run of ten seconds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.engine.records import Container, ContainerState

__all__ = ["LONGEST_DELAY", "next_delay", "restart_due", "wants_restart"]

_SECOND = 1_000_000_000
_FIRST = _SECOND // 10
LONGEST_DELAY = 60 * _SECOND
"""Of the back-off, in nanoseconds."""
_LONG_RUN = 10 * _SECOND


def wants_restart(container: Container, code: int) -> bool:
    """Whether it is to start again after it has ended with `code`; what somebody stopped stays stopped."""
    policy = container.request.restart
    if container.state.stop_wanted:
        return False
    if policy.name == "on-failure":
        return code != 0 and (not policy.maximum or container.state.restart_count < policy.maximum)
    return policy.name in ("always", "unless-stopped")


def next_delay(previous: int, ran: int) -> int:
    """The back-off after a run of `ran` that itself began after `previous` (0: started by somebody); nanoseconds."""
    return _FIRST if not previous or ran >= _LONG_RUN else min(previous * 2, LONGEST_DELAY)


def restart_due(state: ContainerState) -> int:
    """When a container in back-off is to start, in nanoseconds since the epoch."""
    return state.finished + state.restart_delay
