"""Applications, versions, environments and what happens to them, as values. Times are nanoseconds since the epoch."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "BUSY",
    "STATUSES",
    "Application",
    "Deployment",
    "Environment",
    "Event",
    "Instance",
    "Revision",
    "Version",
    "check_host_name",
    "check_name",
    "check_secret",
    "check_variable",
    "is_host_name",
    "is_variable_name",
]

STATUSES = ("Launching", "Updating", "Aborting", "Ready", "Terminating", "Terminated")
BUSY = ("Launching", "Updating", "Aborting", "Terminating")

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_LONGEST = 40


class Application(NamedTuple):
    """Versions and environments that belong together."""

    name: str
    created: int


class Version(NamedTuple):
    """What can be deployed; it never changes. `model` is a resolved Compose model with images named by identifier.

    `images` are those identifiers by service, `source` is the revision of the source tree it was made from.
    """

    application: str
    label: str
    created: int
    model: dict[str, Any]
    images: dict[str, str] = {}  # noqa: RUF012 (a value is never changed)
    source: str = ""
    message: str = ""


class Revision(NamedTuple):
    """What instances of an environment are made of: a version, variables, and secrets (True for a file).

    It never changes: another version or other variables are another revision. `number` is that of the deployment
    which made it. Secrets are names here; what they hold is in the records alone, encrypted.
    """

    environment: str
    number: int
    version: str
    variables: dict[str, str] = {}  # noqa: RUF012
    secrets: dict[str, bool] = {}  # noqa: RUF012


class Environment(NamedTuple):
    """Where a version runs. `revision` is the current one (0 before the first), `size` how many instances are wanted.

    `settings` are those that were set, as text; see `settings.py`. `version`, `variables` and `secrets` are the current
    revision's.
    """

    name: str
    application: str
    host: str
    created: int
    status: str = "Launching"
    settings: dict[str, str] = {}  # noqa: RUF012
    revision: int = 0
    version: str = ""
    variables: dict[str, str] = {}  # noqa: RUF012
    secrets: dict[str, bool] = {}  # noqa: RUF012
    size: int = 1
    terminated: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether an operation is under way, or was cut off."""
        return self.status in BUSY


class Deployment(NamedTuple):
    """One change of what an environment's instances are made of, numbered from 1.

    `kind` is deploy, configuration or rollback; `result` is empty while it is under way, then succeeded, failed,
    aborted (both: taken back) or broken (failed, and left as it was). `before` and `after` are revisions.
    """

    environment: str
    number: int
    kind: str
    who: str
    started: int
    before: int
    after: int
    before_version: str
    after_version: str
    policy: str
    message: str = ""
    ended: int = 0
    result: str = ""
    cause: str = ""

    @property
    def seconds(self) -> float:
        """How long it took, 0 while it is under way."""
        return (self.ended - self.started) / 1e9 if self.ended else 0.0


class Instance(NamedTuple):
    """One copy of a version's stateless services, as the records know it.

    `weight` is what it is to have in the balancer, 0 where it is not to be there; `draining` where it is to end what
    it has and get nothing new.
    """

    environment: str
    name: str
    revision: int
    version: str
    created: int
    weight: int = 0
    draining: bool = False
    entered: int = 0

    @property
    def number(self) -> int:
        """The number in its name."""
        return int(self.name.removeprefix("i-"))

    @property
    def serves(self) -> bool:
        """Whether it is to get new requests."""
        return self.weight > 0 and not self.draining


class Event(NamedTuple):
    """Something that happened, as a sentence. `time` is unique, in whole milliseconds, and only ever grows.

    `severity` is INFO, WARN or ERROR.
    """

    time: int
    environment: str
    severity: str
    message: str
    application: str = ""
    version: str = ""
    deployment: int = 0
    instance: str = ""


def check_name(kind: str, name: str) -> str:
    """`name`, which is to be part of host and container names. Raises InvalidInput where it cannot be."""
    if name and len(name) <= _LONGEST and set(name) <= _LETTERS and name[0] != "-" and name[-1] != "-":
        return name
    raise InvalidInput(
        f"{name!r} is no name for an {kind}",
        hint=f"use up to {_LONGEST} small letters, digits and hyphens, beginning and ending with a letter or digit",
    )


def is_host_name(text: str) -> bool:
    """Whether it is a name that requests are for, in small letters and without a port (RFC 1123 section 2.1)."""
    labels = text.split(".")
    fine = all(one and len(one) < 64 and set(one) <= _LETTERS and "-" not in (one[0], one[-1]) for one in labels)
    return fine and len(text) <= 253


def check_host_name(host: str) -> str:
    """`host`. Raises InvalidInput where no request could be for it."""
    if is_host_name(host):
        return host
    raise InvalidInput(f"{host!r} is no host name", hint="write it without a scheme, port and path: shop.example.org")


def is_variable_name(text: str) -> bool:
    """Whether a variable of a process can be called so: without blanks, `=` and NUL."""
    return bool(text) and not any(one in "=\0" or one.isspace() for one in text)


def check_variable(name: str) -> str:
    """`name`. Raises InvalidInput where no variable can be called so."""
    if is_variable_name(name):
        return name
    raise InvalidInput(f"{name!r} is no name for a variable", hint="use letters, digits and '_'")


def check_secret(name: str) -> str:
    """`name`. Raises InvalidInput where no file below /run/secrets can be called so."""
    if name not in ("", ".", "..") and "/" not in name and name.isprintable() and len(name.encode()) <= 255:
        return name
    raise InvalidInput(f"{name!r} is no name for a secret file", hint="it becomes a file below /run/secrets: no '/'")
