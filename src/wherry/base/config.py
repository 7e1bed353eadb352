"""The configuration file: `/etc/wherry/config.toml`, the user's own over it, or the one that WHERRY_CONFIG names."""

from __future__ import annotations

import os

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Configuration", "load_configuration"]


class Configuration(NamedTuple):
    """What can be configured.

    `build.base_fallback` is `none` or `distro`; `build.ca_bundle` is `host`, `none` or a file;
    `registries.insecure` lists registries that are spoken to without TLS where they do not answer to it, and whose
    certificate is not checked; `registries.certificates` is the directory of registries' CAs, as Docker's `certs.d`;
    `balancer.address`, `.http` and `.https` are where the load balancer listens (0: not at all).
    `acme.directory` is the address of the authority that issues public certificates, `acme.email` is told to it,
    `acme.trust` is a file of CAs to trust it by; `acme.key_id` and `acme.hmac_key` bind to an account there.
    """

    base_fallback: str = "none"
    ca_bundle: str = "host"
    insecure_registries: tuple[str, ...] = ()
    certificates: str = "/etc/docker/certs.d"
    balancer_address: str = ""
    balancer_http: int = 80
    balancer_https: int = 0
    acme_directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    acme_email: str = ""
    acme_trust: str = ""
    acme_key_id: str = ""
    acme_hmac_key: str = ""


_KEYS: dict[tuple[str, str], tuple[str, type[Any]]] = {
    ("build", "base_fallback"): ("base_fallback", str),
    ("build", "ca_bundle"): ("ca_bundle", str),
    ("registries", "insecure"): ("insecure_registries", list),
    ("registries", "certificates"): ("certificates", str),
    ("balancer", "address"): ("balancer_address", str),
    ("balancer", "http"): ("balancer_http", int),
    ("balancer", "https"): ("balancer_https", int),
    **{("acme", name): (f"acme_{name}", str) for name in ("directory", "email", "trust", "key_id", "hmac_key")},
}
_KINDS = {list: "list", str: "string", int: "number"}


def load_configuration(environ: Mapping[str, str]) -> Configuration:
    """Read what is there; later files win. Raises InvalidInput naming the file and the key."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "/"), ".config")
    paths = (
        [environ["WHERRY_CONFIG"]]
        if environ.get("WHERRY_CONFIG")
        else ["/etc/wherry/config.toml", f"{home}/wherry/config.toml"]
    )
    configuration = Configuration()
    for path in paths:
        if os.path.exists(path):
            configuration = configuration._replace(**_read(path))
    return configuration


def _read(path: str) -> dict[str, Any]:
    import tomllib

    try:
        with open(path, "rb") as file:
            tables = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"the configuration {path} cannot be read: {error}") from None
    values: dict[str, Any] = {}
    for table, entries in tables.items():
        keys: dict[str, Any] = entries if isinstance(entries, dict) else {"": entries}
        for key, value in keys.items():
            if (table, key) not in _KEYS:
                known = ", ".join(".".join(each) for each in _KEYS)
                raise InvalidInput(f"{path}: unknown key {table}.{key}".rstrip("."), hint=f"there are: {known}")
            name, kind = _KEYS[table, key]
            if type(value) is not kind:
                raise InvalidInput(f"{path}: {table}.{key} must be a {_KINDS[kind]}")
            values[name] = tuple(value) if isinstance(value, list) else value
    return values
