"""The families of base images that are made from the distribution's packages, and what they stand in for. Pure."""

from __future__ import annotations

from wherry.base.values import NamedTuple
from wherry.oci.reference import DEFAULT_REGISTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.oci.reference import Reference

__all__ = ["FAMILIES", "Family", "family_of"]


class Family(NamedTuple):
    """A family; `version_package` is the Debian package whose version is the image's (empty for the distribution's)."""

    name: str
    summary: str
    version_package: str


FAMILIES = {
    family.name: family
    for family in (
        Family("debian", "the distribution's essential packages", ""),
        Family("python", "python, python3, pip and pip3", "python3"),
        Family("node", "node, npm and npx", "npm:node"),
        Family("nginx", "nginx, with templates from environment variables", "nginx"),
        Family("postgres", "a PostgreSQL server that sets itself up", "postgresql"),
    )
}


def family_of(reference: Reference) -> Family | None:
    """The family that can stand in for an image of that name (an official one), or None."""
    if reference.registry != DEFAULT_REGISTRY:
        return None
    return FAMILIES.get(reference.repository.removeprefix("library/"))
