"""`registry serve` and the words that work beside a running server."""

from __future__ import annotations

import os

from wherry.cli.flags import Command, Flag
from wherry.cli.group import dispatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.flags import Parsed
    from wherry.registry.configuration import Configuration
    from wherry.registry.service import Service

__all__ = ["DATA_FLAGS", "opened", "run"]

DATA_FLAGS = (
    Flag("config", "str", "Configuration file"),
    Flag("data", "str", "Data directory"),
)
_MODULES = {
    "check": "registry_upkeep",
    "gc": "registry_upkeep",
    "key": "registry_keys",
    "policy": "registry_accounts",
    "stats": "registry_upkeep",
    "token": "registry_accounts",
    "user": "registry_accounts",
}


def run(argv: list[str]) -> int:
    """One of the words."""
    return dispatch("registry", argv, {}, {"serve": _serve, **{word: _loader(word) for word in _MODULES}})


def _loader(word: str) -> Callable[[list[str]], int]:
    def load(argv: list[str]) -> int:
        from importlib import import_module

        code: int = import_module(f"wherry.cli.verbs.{_MODULES[word]}").run([word, *argv])
        return code

    return load


def _configured(parsed: Parsed) -> Configuration:
    """The configuration file with the command line over it; the data below Wherry's root where nothing names it."""
    from wherry.base.paths import Layout
    from wherry.registry.configuration import Configuration, load_configuration

    found = load_configuration(parsed["config"]) if parsed["config"] else Configuration()
    data = parsed["data"] or found.data or f"{Layout.from_environment(os.environ, os.geteuid()).root}/registry"
    return found._replace(data=data)


def opened(parsed: Parsed) -> Service:
    """The data directory, beside a server or without one."""
    from wherry.registry.service import open_service

    return open_service(_configured(parsed))


def _serve(argv: list[str]) -> int:
    flags = (
        *DATA_FLAGS,
        Flag("listen", "str", "Address and port (default 127.0.0.1:5000)"),
        Flag("log", "str", "What is logged: requests, or errors alone", default="requests"),
        Flag("open", "bool", "Let everybody do everything as long as there are no accounts"),
        Flag("tls-cert", "str", "Certificate chain (PEM)"),
        Flag("tls-key", "str", "The certificate's key (PEM)"),
    )
    parsed = Command("wherry registry serve", "[OPTIONS]", "Serve images until stopped", flags, most=0).parse(argv)
    from wherry.base.errors import UsageError

    if parsed["log"] not in ("requests", "errors"):
        raise UsageError(f"invalid --log: {parsed['log']}", hint="there are: requests, errors")
    if bool(parsed["tls-cert"]) != bool(parsed["tls-key"]):
        raise UsageError("--tls-cert and --tls-key go together")
    configuration = _configured(parsed)
    given = {
        field: parsed[flag]
        for flag, field in (("listen", "listen"), ("open", "open"), ("tls-cert", "tls_cert"), ("tls-key", "tls_key"))
        if flag in parsed.given
    }
    from wherry.registry.server import serve
    from wherry.registry.service import open_service

    service = open_service(configuration._replace(**given))
    try:
        serve(service, only_errors=parsed["log"] == "errors")
    finally:
        service.close()
    return 0
