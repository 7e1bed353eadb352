"""The image's defaults and the user's wishes become one configuration. Pure.

The rules are Docker's: an entrypoint given on the command line drops the image's command; the environment is the
image's, overridden variable by variable; labels merge with the request winning.
"""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.engine.health import HealthCheck
    from wherry.engine.request import ContainerRequest, HealthRequest
    from wherry.oci.config import ContainerDefaults

__all__ = ["DEFAULT_PATH", "Configuration", "configure", "merge_environment"]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Configuration(NamedTuple):
    """What one container runs with; every field is final but `environment`'s HOME, which its user decides."""

    args: tuple[str, ...]
    path: str  # args[0]; kept apart as Docker's `inspect` does
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    environment: tuple[str, ...]
    working_dir: str
    user: str
    hostname: str
    labels: dict[str, str]
    stop_signal: str
    names_stop_signal: bool  # whether anybody chose it
    stop_timeout: int  # seconds
    exposed_ports: tuple[str, ...]
    volumes: tuple[str, ...]  # the image's VOLUME paths that no mount of the request covers
    healthcheck: HealthRequest | None  # as asked for and as the image says, merged
    check: HealthCheck | None  # what comes of it


def configure(container_id: str, request: ContainerRequest, image: ContainerDefaults) -> Configuration:
    """Merge `request` over `image`. Raises InvalidInput where there is nothing to run."""
    entrypoint, command = _command(request, image)
    args = (*(entrypoint or ()), *(command or ()))
    if not args:
        raise InvalidInput(
            "No command specified", hint=f"the image {request.image} names none: give one after the image's name"
        )
    hostname = request.hostname or container_id[:12]
    healthcheck = _healthcheck(request.health, image)
    targets = {mount.target.rstrip("/") for mount in request.mounts}
    return Configuration(
        args=args,
        path=args[0],
        entrypoint=entrypoint,
        command=command,
        environment=_environment(request, image, hostname),
        working_dir=request.working_dir or image.working_dir or "/",
        user=request.user or image.user or "",
        hostname=hostname,
        labels={**(image.labels or {}), **request.labels},
        stop_signal=request.stop_signal or image.stop_signal or "SIGTERM",
        names_stop_signal=bool(request.stop_signal or image.stop_signal),
        stop_timeout=10 if request.stop_timeout is None else request.stop_timeout,
        exposed_ports=tuple(sorted({*image.exposed_ports, *request.expose, *_published(request)})),
        volumes=tuple(path for path in image.volumes if path.rstrip("/") not in targets),
        healthcheck=healthcheck,
        check=_check(healthcheck, image.shell),
    )


def _command(
    request: ContainerRequest, image: ContainerDefaults
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    if request.entrypoint is None:
        command = image.cmd if request.command is None else request.command
        return image.entrypoint, command
    if request.entrypoint in ((), ("",)):
        return None, request.command
    return request.entrypoint, request.command


def _published(request: ContainerRequest) -> set[str]:
    return {f"{port.container_port}/{port.protocol}" for port in request.ports}


def _environment(request: ContainerRequest, image: ContainerDefaults, hostname: str) -> tuple[str, ...]:
    base = [f"PATH={DEFAULT_PATH}", f"HOSTNAME={hostname}"]
    if request.tty:
        base.append("TERM=xterm")
    return merge_environment(merge_environment(base, image.env), request.environment)


def merge_environment(base: tuple[str, ...] | list[str], over: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """`base` with each `KEY=VALUE` of `over` set and each bare `KEY` of `over` removed; order is kept."""
    merged = {entry.partition("=")[0]: entry for entry in base}
    for entry in over:
        key, equals, _ = entry.partition("=")
        if equals:
            merged[key] = entry
        else:
            merged.pop(key, None)
    return tuple(merged.values())


def _check(wanted: HealthRequest | None, shell: tuple[str, ...]) -> HealthCheck | None:
    if wanted is None:
        return None
    from wherry.engine.health import check_of

    return check_of(wanted, shell)


def _healthcheck(health: HealthRequest, image: ContainerDefaults) -> HealthRequest | None:
    """Value by value, what was not asked for is the image's; None where neither says anything."""
    if health.disabled:
        return health._replace(test=("NONE",))
    own = image.healthcheck
    if own is None:
        return health if any(health) else None
    return health._replace(
        test=health.test or tuple(own.test or ()),
        interval=health.interval or own.interval,
        timeout=health.timeout or own.timeout,
        start_period=health.start_period or own.start_period,
        start_interval=health.start_interval or own.start_interval,
        retries=health.retries or own.retries,
    )
