"""The contract of load balancers. `haproxy/` fulfils it with HAProxy in a container, `fakes.py` with nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from wherry.base.values import NamedTuple
    from wherry.deploy.routing import Section, ServerState
else:
    from wherry.base.values import NamedTuple

    Protocol = object

__all__ = ["AccessRecord", "Listener", "LoadBalancer"]


class Listener(NamedTuple):
    """Where the balancer listens: `address` (empty for all), and the ports for http and https (0 for none)."""

    address: str = ""
    http: int = 80
    https: int = 0


class AccessRecord(NamedTuple):
    """One answered request. `time` is seconds since 1970; the milliseconds are until the last byte; `instance` is empty
    where no server was reached."""

    time: float
    environment: str
    pool: str
    instance: str
    status: int
    milliseconds: float
    method: str
    path: str
    client: str


class LoadBalancer(Protocol):
    """Any process may call any method at any time; changes are made one after another, under a lock.

    No change ever breaks a connection or a request that is under way.
    """

    def ensure(self) -> Listener:
        """Run the balancer, if it does not run or is not as configured, with the sections last applied.

        Raises Conflict where its port is taken.
        """

    def apply(self, *sections: Section) -> None:
        """Make these environments' sections hold, all at once for rules (a swap is seen whole or not at all).

        What is applied survives a kill at any moment: the balancer comes back with either the old or the new sections,
        and applying again repairs it. A server that is new is used at once; the caller has seen that it is healthy.
        """

    def remove(self, environment: str) -> None:
        """Forget an environment; harmless where it is not known."""

    def sections(self) -> dict[str, Section]:
        """What was last applied, by environment."""

    def states(self, environment: str) -> list[ServerState]:
        """What the balancer says of the environment's servers; empty while it does not run."""

    def all_states(self) -> dict[str, list[ServerState]]:
        """What it says of the servers of every environment, in one question."""

    def wait_idle(self, environment: str, instance: str, timeout: float) -> bool:
        """Wait until a draining instance has no request under way; False after `timeout` seconds."""

    def access(self, environment: str, since: float = 0.0, *, follow: bool = False) -> Iterator[AccessRecord]:
        """Requests of an environment since a time, oldest first, as far as the bounded log reaches back.

        Those of all environments where `environment` is empty. With `follow`, also those that come.
        """

    def running(self) -> bool:
        """Whether it runs."""

    def stop(self) -> None:
        """Stop it and take it away; sections stay known."""
