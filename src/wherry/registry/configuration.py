"""The server's configuration file: TOML, every key documented in docs/registry.md, unknown ones refused."""

from __future__ import annotations

import re
import tomllib

from wherry.base.errors import InvalidInput, NotFound
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Configuration", "is_loopback", "load_configuration", "parse_configuration", "parse_span", "split_address"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Configuration(NamedTuple):
    """How one server runs. Spans are in seconds; 0 for `gc_every` means never."""

    listen: str = "127.0.0.1:5000"
    data: str = ""
    public_url: str = ""
    open: bool | None = None  # None: on a loopback address only
    tls_cert: str = ""
    tls_key: str = ""
    account: str = "000000000000"
    region: str = "us-east-1"
    upload_expiry: int = 86_400
    gc_every: int = 86_400
    gc_grace: int = 86_400
    gc_untagged: bool = False
    stop_timeout: int = 30

    @property
    def is_open(self) -> bool:
        """Whether everybody may do everything as long as nobody could log in."""
        return is_loopback(self.listen) if self.open is None else self.open


# Section and key of the file, the field, and what the value has to be.
_KEYS = {
    ("", "listen"): ("listen", "address"),
    ("", "data"): ("data", "text"),
    ("", "public-url"): ("public_url", "url"),
    ("", "stop-timeout"): ("stop_timeout", "span"),
    ("access", "open"): ("open", "switch"),
    ("tls", "cert"): ("tls_cert", "text"),
    ("tls", "key"): ("tls_key", "text"),
    ("ecr", "account"): ("account", "account"),
    ("ecr", "region"): ("region", "region"),
    ("uploads", "expire"): ("upload_expiry", "span"),
    ("gc", "every"): ("gc_every", "span"),
    ("gc", "grace"): ("gc_grace", "span"),
    ("gc", "untagged"): ("gc_untagged", "switch"),
}


def load_configuration(path: str) -> Configuration:
    """The configuration in the file. Raises NotFound or InvalidInput."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse_configuration(file.read(), path)
    except FileNotFoundError:
        raise NotFound(f"no such configuration file: {path}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8") from None


def parse_configuration(text: str, path: str = "the configuration") -> Configuration:
    """Raises InvalidInput, saying which key is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not TOML: {error}") from None
    values: dict[str, Any] = {}
    for section, key, value in _entries(document):
        shown = f"{section}.{key}" if section else key
        if (section, key) not in _KEYS:
            raise InvalidInput(f"{path}: unknown key {shown}", hint="docs/registry.md lists all keys")
        field, kind = _KEYS[section, key]
        try:
            values[field] = _CHECKS[kind](value)
        except (InvalidInput, TypeError, ValueError) as error:
            raise InvalidInput(f"{path}: {shown}: {error}") from None
    found = Configuration(**values)
    if bool(found.tls_cert) != bool(found.tls_key):
        raise InvalidInput(f"{path}: tls needs both cert and key")
    return found


def _entries(document: dict[str, Any]) -> list[tuple[str, str, Any]]:
    found = []
    for key, value in document.items():
        if isinstance(value, dict):
            found += [(key, inner, each) for inner, each in value.items()]
        else:
            found.append(("", key, value))
    return found


def parse_span(text: object) -> int:
    """`90s`, `30m`, `24h`, `7d` in seconds. Raises InvalidInput."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", text) if isinstance(text, str) else None
    if text in (0, "0"):
        return 0
    if not match:
        raise InvalidInput(f"not a span of time: {text!r}", hint="write for instance 90s, 30m, 24h or 7d")
    return int(match[1]) * _SECONDS[match[2]]


def split_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:5000`, `:5000` (all addresses), `[::1]:5000`. Raises InvalidInput."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"not an address to listen on: {text!r}", hint="write for instance 127.0.0.1:5000")
    return host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port)  # noqa: S104 (what `:5000` means)


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach the address."""
    host = split_address(listen)[0]
    return host in ("localhost", "::1") or re.fullmatch(r"127\.\d+\.\d+\.\d+", host) is not None


def _address(value: object) -> str:
    split_address(_text(value))
    return _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput("it has to be a text")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("it has to be true or false")
    return value


def _fitting(pattern: str, what: str) -> Any:
    def check(value: object) -> str:
        if not re.fullmatch(pattern, _text(value)):
            raise InvalidInput(f"it has to be {what}")
        return _text(value)

    return check


_CHECKS = {
    "address": _address,
    "text": _text,
    "switch": _switch,
    "span": parse_span,
    "url": _fitting(r"https?://[^/\s\"]+", "a URL without a path, such as https://registry.example.com"),
    "account": _fitting(r"\d{12}", "an account number of twelve digits"),
    "region": _fitting(r"[a-z]{2}(-[a-z]+)+-\d", "a region, such as us-east-1"),
}
