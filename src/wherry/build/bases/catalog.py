"""The families of base images that are made from the distribution's packages, and what they stand in for. Pure."""

from __future__ import annotations

import re

from wherry.base.values import NamedTuple
from wherry.oci.reference import DEFAULT_REGISTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.oci.reference import Reference

__all__ = ["FAMILIES", "Family", "family_of", "is_description"]


class Family(NamedTuple):
    """A family.

    `version_package` is the Debian package whose version is the image's (empty where another tells), `version` what the
    family pins itself, and `tag_numbers` how many numbers of the version its ordinary tag has.
    """

    name: str
    summary: str
    version_package: str
    tag_numbers: int
    version: str = ""

    def tag(self, version: str) -> str:
        """The ordinary tag for a version: 3.11 for Python's 3.11.2."""
        return ".".join(version.split(".")[: self.tag_numbers])


FAMILIES = {
    family.name: family
    for family in (
        Family("debian", "the distribution's essential packages", "", 1),
        Family("python", "python, python3, pip and pip3", "python3", 2),
        Family("node", "node, npm and npx", "", 1, version="20"),
        Family("nginx", "nginx, with templates from environment variables", "nginx", 2),
        Family("haproxy", "the HAProxy load balancer", "haproxy", 2),
        Family("postgres", "a PostgreSQL server that sets itself up", "postgresql", 1),
    )
}


def family_of(reference: Reference) -> Family | None:
    """The family that can stand in for an image of that name (an official one), or None."""
    if reference.registry != DEFAULT_REGISTRY:
        return None
    return FAMILIES.get(reference.repository.removeprefix("library/"))


def is_description(tag: str, version: str, codename: str, *, partly: bool = False) -> bool:
    """Whether `tag` says nothing untrue of an image of that version, made from the release `codename`.

    True are `latest`, the version or its beginning, `slim` and the code name, in the official images' ways to put them
    together. With `partly`, `version` is only the beginning of what the version will be.
    """
    if tag == "latest":
        return True
    first, *rest = tag.split("-")
    words = rest
    if re.fullmatch(r"[0-9]+(\.[0-9]+)*", first):
        shorter, longer = first.split("."), version.split(".")
        if partly and len(shorter) > len(longer):
            shorter, longer = longer, shorter
        if longer[: len(shorter)] != shorter:
            return False
    else:
        words = [first, *rest]
    return sorted(words) in ([], ["slim"], [codename], sorted(["slim", codename]))
