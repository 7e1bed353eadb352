"""`run` and `create`."""

from __future__ import annotations

import os
import sys

from wherry.base.errors import InvalidInput
from wherry.cli.context import engine
from wherry.cli.flags import Command, Misuse
from wherry.cli.runflags import RUN_FLAGS, container_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.base.progress import Sink
    from wherry.cli.flags import Parsed
    from wherry.engine import Engine
    from wherry.engine.request import ContainerRequest
    from wherry.runtime.attachment import Attachment

__all__ = ["run"]

_ONLY_RUN = ("detach", "sig-proxy", "detach-keys")


def run(argv: list[str]) -> int:
    """Parse, create, and for `run` start and stay with it."""
    verb = argv[0]
    flags = [flag for flag in RUN_FLAGS if verb == "run" or flag.long not in _ONLY_RUN]
    usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]"
    summary = "Run a command in a new container" if verb == "run" else "Make a container without starting it"
    command = Command(f"wherry {verb}", usage, summary, flags, least=1, interspersed=False)
    parsed = command.parse(argv[1:])
    request = container_request(parsed)
    _check(request)
    if parsed["cidfile"] and os.path.exists(parsed["cidfile"]):
        raise _taken(parsed["cidfile"])
    opened = engine()
    container_id = opened.containers.create(request, _sink(parsed))
    _write_identifier(parsed["cidfile"], container_id)
    if verb == "create":
        print(container_id)
        return 0
    if request.detached:
        return _detached(opened, request, container_id)
    return _attached(opened, request, container_id, parsed)


def _check(request: ContainerRequest) -> None:
    if request.auto_remove and request.restart.name != "no":
        raise InvalidInput("Conflicting options: --restart and --rm")
    if request.tty and request.stdin_open and not request.detached and not os.isatty(0):
        raise Misuse("the input device is not a TTY")
    if request.pull not in ("always", "missing", "never"):
        raise InvalidInput(f"invalid pull option: '{request.pull}': must be one of 'always', 'missing' or 'never'")
    if request.network == "host" and (request.ports or request.publish_all):
        print("WARNING: Published ports are discarded when using host network mode", file=sys.stderr)


def _sink(parsed: Parsed) -> Sink:
    from wherry.base.progress import nobody

    if parsed["quiet"]:
        return nobody
    from wherry.cli.progress import plain

    return plain(sys.stderr)


def _taken(path: str) -> InvalidInput:
    return InvalidInput(f"container ID file found, make sure the other container isn't running or delete {path}")


def _write_identifier(path: str, container_id: str) -> None:
    if not path:
        return
    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(container_id)
    except FileExistsError:
        raise _taken(path) from None


def _detached(opened: Engine, request: ContainerRequest, container_id: str) -> int:
    try:
        opened.containers.start(container_id)
    except BaseException:
        _forget(opened, request, container_id)
        raise
    finally:
        print(container_id)  # also of one that could not be started, so that a script can remove it
    return 0


def _forget(opened: Engine, request: ContainerRequest, container_id: str) -> None:
    if request.auto_remove:
        opened.lifecycle.remove(container_id, force=True, volumes=True)


def _attached(opened: Engine, request: ContainerRequest, container_id: str, parsed: Parsed) -> int:
    from wherry.cli.terminal import Terminal, parse_detach_keys, proxy_signals
    from wherry.engine.containers import Streams

    keys = parse_detach_keys(request.detach_keys) if request.tty and request.stdin_open else b""
    with Terminal() as terminal:

        def started(_: str, attachment: Attachment) -> None:
            if parsed["sig-proxy"]:
                proxy_signals(lambda name: opened.containers.signal(container_id, name), terminal=request.tty)
            if request.tty:
                terminal.take(attachment, raw=request.stdin_open)

        streams = Streams(0 if request.stdin_open else None, detach_keys=keys, started=started)
        try:
            code = opened.containers.run_attached(container_id, streams)
        except BaseException:
            _forget(opened, request, container_id)
            raise
    return 0 if code is None else code
