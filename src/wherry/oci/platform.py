"""Platforms, and which of several images fits a machine (image-spec v1.1 image-index.md)."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["Platform", "host_platform", "parse_platform"]

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "loongarch64": ("loong64", ""),
}
_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


class Platform(NamedTuple):
    """An operating system, an architecture in Go's spelling, and its variant (`v7`), which may be empty."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Platform:
        """From a descriptor's `platform`."""
        return cls(str(value.get("os", "")), str(value.get("architecture", "")), str(value.get("variant", "")))

    def to_json(self) -> dict[str, str]:
        """For a descriptor's `platform`."""
        return {name: value for name, value in self._asdict().items() if value}

    def runs(self, other: Platform) -> bool:
        """Whether an image for `other` runs here: see `rank`."""
        return self.rank(other) >= 0

    def rank(self, other: Platform) -> int:
        """How well an image for `other` fits, 0 the best; -1 where it does not run here.

        The same variant before older ones, the own architecture before its 32-bit forerunner, as containerd orders.
        """
        if self.os != other.os:
            return -1
        fitting = list(_vector(self.architecture, self.variant))
        wanted = other.architecture, _variant(other.architecture, other.variant)
        return fitting.index(wanted) if wanted in fitting else -1


def _variant(architecture: str, variant: str) -> str:
    """With its usual variant made explicit; `8` is `v8`."""
    variant = variant or _DEFAULT_VARIANTS.get(architecture, "")
    return f"v{variant}" if variant.isdigit() else variant


def _vector(architecture: str, variant: str) -> Iterator[tuple[str, str]]:
    """What runs on an architecture and variant, the best first."""
    variant = _variant(architecture, variant)
    oldest = {"amd64": 1, "arm": 5, "arm64": 8}.get(architecture)
    number = variant[1:]
    if oldest is not None and variant.startswith("v") and number.isdecimal() and int(number) < 100:
        for each in range(int(number), oldest - 1, -1):
            yield architecture, f"v{each}"
    else:
        yield architecture, variant
    if architecture == "arm64":
        yield from _vector("arm", "v8")
    elif architecture == "amd64":
        yield "386", ""


def host_platform(machine: str) -> Platform:
    """The platform of a Linux machine that calls itself `machine` (`os.uname().machine`)."""
    architecture, variant = _ARCHITECTURES.get(machine, (machine, ""))
    return Platform("linux", architecture, variant)


_SYSTEMS = ("linux", "windows", "freebsd", "darwin")
_KNOWN = (
    "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm"
).split()  # that may stand alone


def parse_platform(text: str) -> Platform:
    """`linux/arm64/v8`, `linux/amd64`, `arm64` or `linux`. Raises InvalidInput."""
    parts = text.lower().split("/")
    if not 1 <= len(parts) <= 3 or not all(part.replace("-", "").replace("_", "").isalnum() for part in parts):
        raise InvalidInput(
            f'"{text}": not a platform', hint="write os/architecture[/variant], for instance linux/arm64"
        )
    if len(parts) == 1 and parts[0] not in _SYSTEMS:
        if _ARCHITECTURES.get(parts[0], (parts[0],))[0] not in _KNOWN:
            raise InvalidInput(
                f'"{text}": unknown operating system or architecture',
                hint="write os/architecture[/variant], for instance linux/arm64",
            )
        parts.insert(0, "linux")
    architecture, variant = _ARCHITECTURES.get(parts[1] if len(parts) > 1 else "", (parts[1] if parts[1:] else "", ""))
    return Platform(parts[0], architecture, parts[2] if len(parts) > 2 else variant)
