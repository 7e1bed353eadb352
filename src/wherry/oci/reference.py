"""Image references in Docker's grammar and with Docker's short names (`nginx` is `docker.io/library/nginx:latest`)."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.oci.digest import is_digest

__all__ = ["DEFAULT_REGISTRY", "Reference", "is_image_id", "parse_reference"]

DEFAULT_REGISTRY = "docker.io"
_LOWER, _UPPER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_COMPONENT, _ALPHANUMERIC = frozenset(_LOWER + _DIGITS), frozenset(_LOWER + _UPPER + _DIGITS)
_SEPARATORS = frozenset("._-")
_NAME, _TAG = _COMPONENT | _SEPARATORS, _ALPHANUMERIC | _SEPARATORS
_LABEL = _ALPHANUMERIC | frozenset("-")
_DIGIT, _ADDRESS = frozenset(_DIGITS), frozenset(_DIGITS + "abcdefABCDEF:")
_MAX_TAG = 128
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
    if tag is not None and not _is_tag(tag):
        raise _invalid(text)
    registry, repository = _split_registry(name)
    if not _is_repository(repository):
        if _is_repository(repository.lower()):
            raise InvalidInput(
                f"invalid reference format: repository name ({name}) must be lowercase", hint="use lower-case letters"
            )
        raise _invalid(text)
    if not _is_registry(registry) or len(registry) + 1 + len(repository) > _MAX_NAME:
        raise _invalid(text)
    if is_image_id(f"sha256:{name}") and not at:
        raise InvalidInput(f"invalid repository name ({name}), cannot specify 64-byte hexadecimal strings")
    return Reference(registry, repository, tag or ("" if at or not default_tag else "latest"), digest)


def _invalid(text: str) -> InvalidInput:
    return InvalidInput(
        f'invalid reference format: "{text}"', hint="a name looks like [registry/]repository[:tag][@sha256:...]"
    )


# The grammar (distribution `reference/reference.go`) is looked at by hand: `re` takes five milliseconds to load and to
# compile it, which every `run` would wait for.


def _is_tag(text: str) -> bool:
    return 0 < len(text) <= _MAX_TAG and text[0] not in ".-" and _TAG.issuperset(text)


def _is_repository(text: str) -> bool:
    return all(map(_is_component, text.split("/")))


def _is_component(text: str) -> bool:
    """Runs of letters and digits, between them a dot, one or two underscores, or hyphens."""
    if not text or not _NAME.issuperset(text) or text[0] in _SEPARATORS or text[-1] in _SEPARATORS:
        return False
    separators = "".join(" " if one in _COMPONENT else one for one in text).split()
    return all(one in (".", "_", "__") or not one.strip("-") for one in separators)


def _is_registry(text: str) -> bool:
    """A host name or an IPv6 address in brackets, and a port where there is one."""
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, colon, port = text, "", ""
    if colon and not (port and _DIGIT.issuperset(port)):
        return False
    if host.startswith("["):
        return host.endswith("]") and len(host) > 2 and _ADDRESS.issuperset(host[1:-1])
    return all(map(_is_label, host.split(".")))


def _is_label(text: str) -> bool:
    return bool(text) and _LABEL.issuperset(text) and text[0] != "-" and text[-1] != "-"


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
