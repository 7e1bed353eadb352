"""An environment at one moment, as the records, the target and the balancer know it."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.deploy.routing import by_instance
from wherry.deploy.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.deploy.journal import Operation, StepRecord
    from wherry.deploy.model import Environment, Instance
    from wherry.deploy.parts import Parts
    from wherry.deploy.routing import ServerState
    from wherry.deploy.target import ObservedInstance

__all__ = ["InstanceStatus", "Status", "take_status", "url_of"]


class InstanceStatus(NamedTuple):
    """An instance as the records, the target and the balancer know it."""

    instance: Instance
    observed: ObservedInstance | None
    servers: tuple[ServerState, ...]


class Status(NamedTuple):
    """An environment at this moment. `operation` is the one that has not ended, `steps` are its steps.

    `working` says whether some process carries it out; otherwise it was cut off.
    """

    environment: Environment
    url: str
    operation: Operation | None
    steps: tuple[StepRecord, ...]
    working: bool
    instances: tuple[InstanceStatus, ...]
    accessories: ObservedInstance | None


def url_of(parts: Parts, environment: Environment) -> str:
    """Where it answers."""
    listener = parts.listener
    secure = bool(listener.https) and Settings(environment.settings).text("tls") != "off"
    scheme, port, usual = ("https", listener.https, 443) if secure else ("http", listener.http, 80)
    return f"{scheme}://{environment.host}" + ("" if port == usual else f":{port}")


def take_status(parts: Parts, name: str, *, is_held: Callable[[str], bool]) -> Status:
    """All of it; `is_held` is asked, where an operation is pending, whether some process works on it.

    Raises NotFound.
    """
    records = parts.records
    environment = records.environment(name)
    operation = records.journal.pending(name)
    observed = {one.name: one for one in parts.target.observe(name)}
    servers = by_instance(parts.balancer.states(name))
    return Status(
        environment,
        url_of(parts, environment),
        operation,
        tuple(records.journal.steps(operation)) if operation else (),
        operation is not None and is_held(name),
        tuple(
            InstanceStatus(one, observed.get(one.name), tuple(servers.get(one.name, ())))
            for one in records.instances(name)
        ),
        observed.get(""),
    )
