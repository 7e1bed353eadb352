"""What the values of `run`'s flags mean: sizes, times, limits, files. Docker's grammar and words."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput, UsageError
from wherry.engine.request import DeviceRequest, RestartPolicy, UlimitRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BOOLEANS",
    "parse_add_host",
    "parse_cpus",
    "parse_device",
    "parse_dns",
    "parse_duration",
    "parse_environment",
    "parse_labels",
    "parse_mac",
    "parse_restart",
    "parse_size",
    "parse_sysctls",
    "parse_ulimit",
]

BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_size(text: str) -> int:
    """`512m`, `1.5g`, `1024` in bytes; units are powers of 1024."""
    import re

    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgtp]?)(?:i?b)?", text.strip().lower())
    if not match:
        raise InvalidInput(f"invalid size: '{text}'", hint="write a number with b, k, m or g, for instance 512m")
    return int(float(match.group(1)) * _UNITS[match.group(2)])


def parse_cpus(text: str) -> int:
    """Billionths of a CPU."""
    try:
        return round(float(text) * 1_000_000_000)
    except ValueError:
        raise InvalidInput(f'invalid argument "{text}" for "--cpus": not a number') from None


def parse_duration(text: str) -> int:
    """Go's durations (`1m30s`) in nanoseconds."""
    import re

    if not re.fullmatch(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+|0", text):
        raise InvalidInput(f'time: invalid duration "{text}"', hint="write for instance 30s or 1m30s")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    return round(sum(float(number) * _SECONDS[unit] for number, unit in parts) * 1_000_000_000)


def parse_restart(text: str) -> RestartPolicy:
    """`no`, `always`, `unless-stopped`, `on-failure[:maximum]`."""
    name, colon, count = text.partition(":")
    if name not in ("no", "always", "unless-stopped", "on-failure", ""):
        raise InvalidInput(
            f"invalid restart policy '{name}'", hint="no, always, unless-stopped or on-failure[:maximum]"
        )
    if colon and (name != "on-failure" or not count.isdigit()):
        raise InvalidInput(
            f"maximum retry count cannot be used with restart policy '{name}'"
            if count.isdigit()
            else "maximum retry count must be an integer"
        )
    return RestartPolicy(name or "no", int(count or 0))


def parse_ulimit(text: str) -> UlimitRequest:
    """`name=soft[:hard]`."""
    name, _, numbers = text.partition("=")
    soft, _, hard = numbers.partition(":")
    try:
        limit = UlimitRequest(name, int(soft), int(hard or soft))
    except ValueError:
        raise InvalidInput(f'invalid argument "{text}" for "--ulimit" flag: write name=soft[:hard]') from None
    if limit.hard >= 0 and (limit.soft < 0 or limit.soft > limit.hard):
        why = f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        raise UsageError(f'invalid argument "{text}" for "--ulimit" flag: {why}')
    return limit


def parse_device(text: str) -> DeviceRequest:
    """`host[:container[:rwm]]`."""
    parts = text.split(":")
    if len(parts) == 2 and parts[1] and set(parts[1]) <= set("rwm"):
        return DeviceRequest(parts[0], parts[0], parts[1])
    if not 1 <= len(parts) <= 3 or not parts[0].startswith("/"):
        raise InvalidInput(f"invalid device specification: {text}")
    if parts[1:] and not parts[1].startswith("/"):
        raise InvalidInput(f"{parts[1]} is not an absolute path", hint="write HOST[:CONTAINER[:rwm]]")
    return DeviceRequest(parts[0], parts[1] if parts[1:] else parts[0], parts[2] if parts[2:] else "rwm")


def parse_environment(given: Iterable[str], files: Iterable[str]) -> tuple[str, ...]:
    """`-e` over `--env-file`; a name alone takes this process's value.

    Where there is none, the name in a file means nothing, and that of `-e` removes the image's variable.
    """
    of_files = [entry for path in files for entry in _environment_file(path)]
    known = [entry for entry in of_files if "=" in entry or entry in os.environ]
    return tuple(_with_value(entry) for entry in (*known, *given))


def _with_value(entry: str) -> str:
    name, equals, _ = entry.partition("=")
    if not name:
        shown = "-e, --env"
        raise UsageError(f'invalid argument "{entry}" for "{shown}" flag: invalid environment variable: {entry}')
    if equals:
        return entry
    return f"{name}={os.environ[name]}" if name in os.environ else name


def _environment_file(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.rstrip("\r\n").lstrip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"open {path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    entries = [line for line in lines if line and not line.startswith("#")]
    for entry in entries:
        if entry.startswith("="):
            raise InvalidInput(f"poorly formatted environment: no variable name on line '{entry}'")
        if any(letter.isspace() for letter in entry.partition("=")[0]):
            raise InvalidInput(
                f"poorly formatted environment: variable '{entry.partition('=')[0]}' contains whitespaces"
            )
    return entries


def parse_labels(given: Iterable[str], files: Iterable[str]) -> dict[str, str]:
    """`key=value` or `key`; files hold one each line."""
    entries = [entry for path in files for entry in _environment_file(path)]
    pairs = [entry.partition("=") for entry in [*entries, *given]]
    for key, equals, value in pairs:
        if not key:
            text = f"{key}{equals}{value}"
            raise UsageError(f'invalid argument "{text}" for "-l, --label" flag: invalid label \'{text}\': empty name')
    return {key: value for key, _, value in pairs}


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_dns(text: str) -> str:
    """The address of a name server."""
    if not _is_address(text.strip()):
        raise UsageError(f'invalid argument "{text}" for "--dns" flag: {text} is not an ip address')
    return text.strip()


def parse_add_host(text: str) -> str:
    """`name:address`, where the address may be `host-gateway`."""
    name, colon, address = text.partition(":")
    if not name or not colon:
        raise UsageError(f'invalid argument "{text}" for "--add-host" flag: bad format for add-host: "{text}"')
    if address != "host-gateway" and not _is_address(address.strip("[]")):
        raise UsageError(
            f'invalid argument "{text}" for "--add-host" flag: invalid IP address in add-host: "{address}"'
        )
    return text


def parse_mac(text: str) -> str:
    """Six bytes in hexadecimal, or empty."""
    if not text:
        return ""
    import re

    if not re.fullmatch(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", text):
        raise InvalidInput(f"{text} is not a valid mac address")
    return text.replace("-", ":").lower()


_SYSCTLS = frozenset(
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni"
    " kernel.shm_rmid_forced".split()
)


def parse_sysctls(given: Iterable[str]) -> dict[str, str]:
    """`name=value`, of those that belong to a container's own namespaces."""
    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not (name in _SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
            raise UsageError(f'invalid argument "{text}" for "--sysctl" flag: sysctl \'{text}\' is not whitelisted')
        values[name] = value
    return values
