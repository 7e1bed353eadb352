"""What a build is asked for, and what it gives."""

from __future__ import annotations

from wherry.base.errors import NotFound
from wherry.base.values import NamedTuple

__all__ = ["BuildRequest", "BuildResult", "Secret"]


class Secret(NamedTuple):
    """A secret for steps: the content of the file `path`, read when a step needs it, or else `value`."""

    path: str = ""
    value: bytes = b""

    def read(self) -> bytes:
        """Its bytes. Raises NotFound."""
        if not self.path:
            return self.value
        try:
            with open(self.path, "rb") as file:
                return file.read()
        except OSError as error:
            raise NotFound(f"cannot read the secret {self.path}: {error.strerror}") from None


class BuildRequest(NamedTuple):
    """One `wherry build`. `dockerfile` is the file's text; `context` a directory, empty for none."""

    dockerfile: str
    context: str = ""
    ignore: str = ""  # the text of .dockerignore
    tags: tuple[str, ...] = ()
    build_args: dict[str, str] = {}  # noqa: RUF012 (a value is never changed)
    labels: dict[str, str] = {}  # noqa: RUF012
    target: str = ""
    no_cache: bool = False
    pull: bool = False
    network: str = "default"  # default | none | host
    build_contexts: dict[str, str] = {}  # noqa: RUF012 (name: docker-image://REF or a directory)
    base_fallback: str = "none"  # none | distro
    platform: str = ""
    add_hosts: tuple[str, ...] = ()
    ca_bundle: str = ""  # a file that steps see while they run; empty for none
    shm_size: int = 67_108_864
    secrets: dict[str, Secret] = {}  # noqa: RUF012


class BuildResult(NamedTuple):
    """The image that was built."""

    image_id: str
    manifest_digest: str
    names: tuple[str, ...]
