"""`login` and `logout`."""

from __future__ import annotations

import os
import sys

from wherry.base.errors import Denied, InvalidInput, WherryError
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Parsed
    from wherry.transfer import Credentials, Login

__all__ = ["run"]

_FLAGS = (
    Flag("password", "str", "Password", short="p"),
    Flag("password-stdin", "bool", "Take the password from standard input"),
    Flag("username", "str", "Username", short="u"),
)
_STORED = """WARNING! Your password will be stored unencrypted in {path}.
Configure a credential helper to remove this warning. See
https://docs.docker.com/engine/reference/commandline/login/#credentials-store
"""
_HUB = (
    "Login with your Docker ID to push and pull images from Docker Hub. If you don't have a Docker ID, head over to"
    " https://hub.docker.com to create one."
)


def run(argv: list[str]) -> int:
    """One of the verbs."""
    return {"login": _login, "logout": _logout}[argv[0]](argv[1:])


def _login(argv: list[str]) -> int:
    parsed = Command("wherry login", "[OPTIONS] [SERVER]", "Log in to a registry", _FLAGS, most=1).parse(argv)
    from wherry.transfer import Credentials
    from wherry.transfer.credentials import HUB_KEY

    registry = parsed.args[0] if parsed.args else HUB_KEY
    username, password = _given(parsed)
    credentials = Credentials(os.environ)
    kept = credentials.find(registry)
    if not username and not password and kept is not None and _is_still_good(registry, kept):
        return _finish(credentials, registry, kept)
    login = _asked(registry, username, password, kept.username if kept else "")
    return _finish(credentials, registry, engine(repair=False).exchange.sign_in(registry, login))


def _given(parsed: Parsed) -> tuple[str, str]:
    """What the command line says, after Docker's checks and warnings."""
    username, password = parsed["username"], parsed["password"]
    if "password" in parsed.given:
        print("WARNING! Using --password via the CLI is insecure. Use --password-stdin.", file=sys.stderr)
        if parsed["password-stdin"]:
            raise InvalidInput("--password and --password-stdin are mutually exclusive")
    if parsed["password-stdin"]:
        if not username:
            raise InvalidInput("Must provide --username with --password-stdin")
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    return username, password


def _is_still_good(registry: str, kept: Login) -> bool:
    print("Authenticating with existing credentials...", file=sys.stderr)
    try:
        engine(repair=False).exchange.sign_in(registry, kept)
    except Denied as error:
        print(f"Login did not succeed, error: {error.message}", file=sys.stderr)
        return False
    return True


def _asked(registry: str, username: str, password: str, default: str) -> Login:
    """Name and password, asked for on the terminal where they were not given."""
    from wherry.transfer import Login
    from wherry.transfer.credentials import HUB_KEY, registry_key

    if (not username or not password) and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidInput(
            "Cannot perform an interactive login from a non TTY device", hint="use --username and --password-stdin"
        )
    if not username:
        if registry_key(registry) == HUB_KEY:
            print(_HUB)
        username = input(f"Username ({default}): " if default else "Username: ").strip() or default
    if not username:
        raise InvalidInput("Error: Non-null Username Required")
    if not password:
        import getpass

        password = getpass.getpass("Password: ")
    if not password:
        raise InvalidInput("Error: Password Required")
    return Login(username, password)


def _finish(credentials: Credentials, registry: str, login: Login) -> int:
    path = credentials.store(registry, login)
    if path and not login.identity_token:
        print(_STORED.format(path=path), file=sys.stderr)
    print("Login Succeeded")
    return 0


def _logout(argv: list[str]) -> int:
    parsed = Command("wherry logout", "[SERVER]", "Log out from a registry", most=1).parse(argv)
    from wherry.transfer import Credentials
    from wherry.transfer.credentials import HUB_KEY, registry_key

    registry = parsed.args[0] if parsed.args else HUB_KEY
    print(f"Removing login credentials for {registry_key(registry)}")
    try:
        Credentials(os.environ).erase(registry)
    except WherryError as error:
        print(f"WARNING: could not erase credentials: {error.message}", file=sys.stderr)
        return 1
    return 0
