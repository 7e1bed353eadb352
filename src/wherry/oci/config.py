"""The image configuration (image-spec v1.1 config.md, with the fields that Docker adds)."""

from __future__ import annotations

from wherry.base.clock import parse_rfc3339, rfc3339
from wherry.base.errors import Corrupt
from wherry.base.jsontext import decode
from wherry.base.values import NamedTuple
from wherry.oci.descriptor import encode_json
from wherry.oci.digest import Digest, is_digest, sha256_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ContainerDefaults",
    "Healthcheck",
    "History",
    "ImageConfig",
    "chain_id",
    "chain_ids",
    "encode_config",
    "parse_config",
]


class Healthcheck(NamedTuple):
    """HEALTHCHECK; times in nanoseconds, 0 for "the default". `test` begins with NONE, CMD or CMD-SHELL."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerDefaults(NamedTuple):
    """What a container of the image runs unless told otherwise. None differs from empty in `entrypoint` and `cmd`."""

    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: dict[str, str] = {}  # noqa: RUF012 (a value is never changed)
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()


class History(NamedTuple):
    """How one layer, or one step without a layer, came to be; `created` in nanoseconds, 0 for unknown."""

    created: int = 0
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(NamedTuple):
    """The whole configuration; `rootfs` is the diff IDs of the layers, the base first."""

    architecture: str
    os: str = "linux"
    config: ContainerDefaults = ContainerDefaults()
    rootfs: tuple[Digest, ...] = ()
    history: tuple[History, ...] = ()
    created: int = 0
    author: str = ""
    variant: str = ""
    os_version: str = ""


def parse_config(data: bytes) -> ImageConfig:
    """Raises Corrupt where the bytes are not an image configuration."""
    try:
        value = decode(data)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"the image configuration is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Corrupt("the image configuration is not a JSON object")
    try:
        return _config(value)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise Corrupt(f"the image configuration is malformed: {error}") from None


def _config(value: dict[str, Any]) -> ImageConfig:
    diff_ids = tuple((value.get("rootfs") or {}).get("diff_ids") or ())
    if not all(isinstance(each, str) and is_digest(each) for each in diff_ids):
        raise ValueError("a diff ID is not a digest")
    return ImageConfig(
        architecture=value.get("architecture") or "",
        os=value.get("os") or "linux",
        config=_defaults(value.get("config") or {}),
        rootfs=diff_ids,
        history=tuple(_history(step) for step in value.get("history") or ()),
        created=_time(value.get("created")),
        author=value.get("author") or "",
        variant=value.get("variant") or "",
        os_version=value.get("os.version") or "",
    )


def _defaults(value: dict[str, Any]) -> ContainerDefaults:
    health = value.get("Healthcheck")
    return ContainerDefaults(
        user=value.get("User") or "",
        exposed_ports=tuple(value.get("ExposedPorts") or ()),
        env=tuple(value.get("Env") or ()),
        entrypoint=_strings(value.get("Entrypoint")),
        cmd=_strings(value.get("Cmd")),
        volumes=tuple(value.get("Volumes") or ()),
        working_dir=value.get("WorkingDir") or "",
        labels=dict(value.get("Labels") or {}),
        stop_signal=value.get("StopSignal") or "",
        healthcheck=_healthcheck(health) if health else None,
        shell=tuple(value.get("Shell") or ()),
        on_build=tuple(value.get("OnBuild") or ()),
    )


def _strings(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value)


def _healthcheck(value: dict[str, Any]) -> Healthcheck:
    return Healthcheck(
        tuple(value.get("Test") or ()),
        int(value.get("Interval") or 0),
        int(value.get("Timeout") or 0),
        int(value.get("StartPeriod") or 0),
        int(value.get("StartInterval") or 0),
        int(value.get("Retries") or 0),
    )


def _history(value: dict[str, Any]) -> History:
    return History(
        _time(value.get("created")),
        value.get("created_by") or "",
        value.get("author") or "",
        value.get("comment") or "",
        bool(value.get("empty_layer")),
    )


def _time(value: str | None) -> int:
    return max(parse_rfc3339(value), 0) if value else 0


def encode_config(config: ImageConfig) -> bytes:
    """The bytes that are stored and hashed; the same value gives the same bytes."""
    value: dict[str, Any] = {}
    if config.created:
        value["created"] = rfc3339(config.created)
    value |= _present(author=config.author, architecture=config.architecture, variant=config.variant, os=config.os)
    if config.os_version:
        value["os.version"] = config.os_version
    value["config"] = _defaults_json(config.config)
    value["rootfs"] = {"type": "layers", "diff_ids": list(config.rootfs)}
    value["history"] = [_history_json(step) for step in config.history]
    return encode_json(value)


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _defaults_json(defaults: ContainerDefaults) -> dict[str, Any]:
    value = _present(
        User=defaults.user,
        ExposedPorts={port: {} for port in sorted(defaults.exposed_ports)},
        Env=list(defaults.env),
    )
    if defaults.entrypoint is not None:
        value["Entrypoint"] = list(defaults.entrypoint)
    if defaults.cmd is not None:
        value["Cmd"] = list(defaults.cmd)
    if defaults.healthcheck:
        value["Healthcheck"] = _healthcheck_json(defaults.healthcheck)
    return value | _present(
        Volumes={path: {} for path in sorted(defaults.volumes)},
        WorkingDir=defaults.working_dir,
        Labels=dict(sorted(defaults.labels.items())),
        StopSignal=defaults.stop_signal,
        Shell=list(defaults.shell),
        OnBuild=list(defaults.on_build),
    )


def _healthcheck_json(health: Healthcheck) -> dict[str, Any]:
    return _present(
        Test=list(health.test),
        Interval=health.interval,
        Timeout=health.timeout,
        StartPeriod=health.start_period,
        StartInterval=health.start_interval,
        Retries=health.retries,
    )


def _history_json(step: History) -> dict[str, Any]:
    created = {"created": rfc3339(step.created)} if step.created else {}
    return created | _present(
        created_by=step.created_by, author=step.author, comment=step.comment, empty_layer=step.empty_layer
    )


def chain_ids(diff_ids: tuple[Digest, ...]) -> list[Digest]:
    """The chain ID of each layer applied on those before it (image-spec v1.1 config.md#layer-chainid)."""
    chains: list[Digest] = []
    for diff_id in diff_ids:
        chains.append(sha256_digest(f"{chains[-1]} {diff_id}".encode()) if chains else diff_id)
    return chains


def chain_id(diff_ids: tuple[Digest, ...]) -> Digest:
    """The chain ID of the whole; empty for no layers."""
    return chain_ids(diff_ids)[-1] if diff_ids else ""
