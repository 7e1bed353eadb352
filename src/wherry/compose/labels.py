"""The labels by which Compose knows what it made. Source: docker compose, pkg/api/labels.go."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.compose.model import Dependency, Project, Service

__all__ = [
    "CONFIG_FILES",
    "CONFIG_HASH",
    "DEPENDS_ON",
    "IMAGE",
    "NETWORK",
    "NUMBER",
    "ONE_OFF",
    "PROJECT",
    "REPLACE",
    "SERVICE",
    "SLUG",
    "VOLUME",
    "WORKING_DIRECTORY",
    "container_labels",
    "parse_dependencies",
    "resource_labels",
]

_PREFIX = "com.docker.compose."
PROJECT = f"{_PREFIX}project"
SERVICE = f"{_PREFIX}service"
VERSION = f"{_PREFIX}version"
CONFIG_HASH = f"{_PREFIX}config-hash"
NUMBER = f"{_PREFIX}container-number"
ONE_OFF = f"{_PREFIX}oneoff"
SLUG = f"{_PREFIX}slug"
IMAGE = f"{_PREFIX}image"
DEPENDS_ON = f"{_PREFIX}depends_on"
REPLACE = f"{_PREFIX}replace"
WORKING_DIRECTORY = f"{_PREFIX}project.working_dir"
CONFIG_FILES = f"{_PREFIX}project.config_files"
NETWORK = f"{_PREFIX}network"
VOLUME = f"{_PREFIX}volume"


def container_labels(
    project: Project, service: Service, *, number: int, config_hash: str, image_id: str, slug: str = ""
) -> dict[str, str]:
    """The labels of one container; `slug` names a one-off container of `run`."""
    from wherry import __version__

    return {
        CONFIG_HASH: config_hash,
        NUMBER: str(number),
        DEPENDS_ON: ",".join(_dependency(one) for one in service.dependencies),
        IMAGE: image_id,
        ONE_OFF: "True" if slug else "False",
        PROJECT: project.name,
        CONFIG_FILES: ",".join(project.files),
        WORKING_DIRECTORY: project.directory,
        SERVICE: service.name,
        VERSION: __version__,
        **({SLUG: slug} if slug else {}),
    }


def _dependency(one: Dependency) -> str:
    return f"{one.service}:{one.condition}:{str(one.restart).lower()}"


def parse_dependencies(labels: dict[str, str]) -> list[str]:
    """The services that a container's labels say it depends on."""
    entries = labels.get(DEPENDS_ON, "").split(",")
    return [entry.partition(":")[0] for entry in entries if entry]


def resource_labels(project: str, kind: str, key: str, config_hash: str) -> dict[str, str]:
    """The labels of a network or volume; `kind` is NETWORK or VOLUME."""
    from wherry import __version__

    return {CONFIG_HASH: config_hash, kind: key, PROJECT: project, VERSION: __version__}
