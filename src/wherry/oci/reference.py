"""Image references in Docker's grammar and with Docker's short names (`nginx` is `docker.io/library/nginx:latest`)."""

from __future__ import annotations

import re

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.oci.digest import is_digest

__all__ = ["DEFAULT_REGISTRY", "Reference", "is_image_id", "parse_reference"]

DEFAULT_REGISTRY = "docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_MAX_NAME = 255


class Reference(NamedTuple):
    """A name of an image; at least one of `tag` and `digest` is usually set."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def familiar_name(self) -> str:
        """The repository as Docker prints it: without `docker.io/` and `library/`."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        return self.repository.removeprefix("library/") if self.repository.count("/") == 1 else self.repository

    def familiar(self) -> str:
        """The whole as Docker prints it."""
        return self.familiar_name() + self._suffix()


def parse_reference(text: str, *, default_tag: bool = True) -> Reference:
    """Parse what a user typed; without tag and digest it is tagged `latest` unless `default_tag` is off.

    Raises InvalidInput in Docker's words.
    """
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _invalid(text)
    name, tag = _split_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _invalid(text)
    registry, repository = _split_registry(name)
    if not _REPOSITORY.fullmatch(repository):
        if _REPOSITORY.fullmatch(repository.lower()):
            raise InvalidInput(
                f"invalid reference format: repository name ({name}) must be lowercase", hint="use lower-case letters"
            )
        raise _invalid(text)
    if not _REGISTRY.fullmatch(registry) or len(registry) + 1 + len(repository) > _MAX_NAME:
        raise _invalid(text)
    if is_image_id(f"sha256:{name}") and not at:
        raise InvalidInput(f"invalid repository name ({name}), cannot specify 64-byte hexadecimal strings")
    return Reference(registry, repository, tag or ("" if at or not default_tag else "latest"), digest)


def _invalid(text: str) -> InvalidInput:
    return InvalidInput(
        f'invalid reference format: "{text}"', hint="a name looks like [registry/]repository[:tag][@sha256:...]"
    )


def _split_tag(text: str) -> tuple[str, str | None]:
    head, colon, tail = text.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (text, None)


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    if not is_host:
        return DEFAULT_REGISTRY, name if slash else f"library/{name}"
    if first in ("docker.io", "index.docker.io"):
        return DEFAULT_REGISTRY, rest if "/" in rest else f"library/{rest}"
    return first, rest


def is_image_id(text: str) -> bool:
    """Whether `text` is a whole image identifier, `sha256:` and 64 hexadecimal digits."""
    return is_digest(text)
