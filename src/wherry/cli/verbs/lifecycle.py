"""The verbs that move containers: start stop restart kill rm pause unpause rename wait attach."""

from __future__ import annotations

import sys

from wherry.cli.context import each, engine
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.flags import Parsed
    from wherry.engine import Engine
    from wherry.engine.containers import Streams
    from wherry.engine.records import Container
    from wherry.runtime.attachment import Attachment

__all__ = ["run"]

_MANY = "[OPTIONS] CONTAINER [CONTAINER...]"
_TIME = Flag("time", "int", "Seconds to wait before killing", short="t", default=-2)
_TIMEOUT = Flag("timeout", "int", "The same as --time", default=-2)
_SIGNAL = Flag("signal", "str", "Signal to send", short="s")
_DETACH_KEYS = Flag("detach-keys", "str", "Key sequence for detaching")
_START = (
    Flag("attach", "bool", "Attach to the output and pass signals on", short="a"),
    Flag("interactive", "bool", "Attach to the input", short="i"),
    _DETACH_KEYS,
)
_REMOVE = (
    Flag("force", "bool", "Kill a running container, and say nothing of missing ones", short="f"),
    Flag("volumes", "bool", "Remove its anonymous volumes too", short="v"),
    Flag("link", "bool", "Remove the link", short="l", unsupported="there are no links"),
)
_ATTACH = (
    _DETACH_KEYS,
    Flag("no-stdin", "bool", "Do not attach to the input"),
    Flag("sig-proxy", "bool", "Pass signals on", default=True),
)


def run(argv: list[str]) -> int:
    """One of the verbs."""
    verb = argv[0]
    usage, summary, flags, least, most = {
        "start": (_MANY, "Start stopped containers", _START, 1, None),
        "stop": (_MANY, "Stop running containers", (_TIME, _TIMEOUT, _SIGNAL), 1, None),
        "restart": (_MANY, "Restart containers", (_TIME, _TIMEOUT, _SIGNAL), 1, None),
        "kill": (_MANY, "Kill running containers", (_SIGNAL,), 1, None),
        "rm": (_MANY, "Remove containers", _REMOVE, 1, None),
        "pause": (_MANY, "Freeze containers", (), 1, None),
        "unpause": (_MANY, "Thaw containers", (), 1, None),
        "wait": (_MANY, "Wait until containers end, and print their exit codes", (), 1, None),
        "rename": ("CONTAINER NEW_NAME", "Rename a container", (), 2, 2),
        "attach": ("[OPTIONS] CONTAINER", "Attach to a running container", _ATTACH, 1, 1),
    }[verb]
    parsed = Command(f"wherry {verb}", usage, summary, flags, least=least, most=most).parse(argv[1:])
    return _ACTIONS[verb](engine(), parsed)


def _timeout(parsed: Parsed) -> int | None:
    for name in ("time", "timeout"):
        if name in parsed.given:
            return int(parsed[name])
    return None


def _signal_name(text: str) -> str:
    from wherry.engine.signals import signal_number

    return str(signal_number(text)) if text else ""


def _start(opened: Engine, parsed: Parsed) -> int:
    if not (parsed["attach"] or parsed["interactive"]):
        return each(parsed.args, lambda name: opened.containers.start(opened.containers.resolve(name).id))
    if len(parsed.args) > 1:
        from wherry.base.errors import InvalidInput

        raise InvalidInput("you cannot start and attach multiple containers at once")
    return _run_again(opened, parsed)


def _run_again(opened: Engine, parsed: Parsed) -> int:
    container = opened.containers.resolve(parsed.args[0])
    stdin = parsed["interactive"] and container.request.stdin_open
    go = opened.containers.attach if container.state.is_running else opened.containers.run_attached
    return _attached(opened, container, parsed, go, stdin=stdin, proxy=True)


def _attach(opened: Engine, parsed: Parsed) -> int:
    container = opened.containers.resolve(parsed.args[0])
    stdin = container.request.stdin_open and not parsed["no-stdin"]
    return _attached(opened, container, parsed, opened.containers.attach, stdin=stdin, proxy=parsed["sig-proxy"])


def _attached(
    opened: Engine,
    container: Container,
    parsed: Parsed,
    go: Callable[[str, Streams], int | None],
    *,
    stdin: bool,
    proxy: bool,
) -> int:
    """Give the container this terminal until it ends; its exit code."""
    from wherry.cli.terminal import Terminal, parse_detach_keys, proxy_signals
    from wherry.engine.containers import Streams

    tty = container.request.tty
    keys = parse_detach_keys(parsed["detach-keys"]) if tty and stdin else b""
    with Terminal() as terminal:

        def started(container_id: str, attachment: Attachment) -> None:
            if proxy:
                proxy_signals(lambda name: opened.containers.signal(container_id, name), terminal=tty)
            if tty:
                terminal.take(attachment, raw=stdin)

        return go(container.id, Streams(0 if stdin else None, 1, 2, keys, started)) or 0


def _stop(opened: Engine, parsed: Parsed) -> int:
    signal, timeout = _signal_name(parsed["signal"]), _timeout(parsed)
    return each(
        parsed.args,
        lambda name: opened.lifecycle.stop(opened.containers.resolve(name).id, timeout=timeout, signal=signal),
    )


def _restart(opened: Engine, parsed: Parsed) -> int:
    signal, timeout = _signal_name(parsed["signal"]), _timeout(parsed)
    return each(
        parsed.args,
        lambda name: opened.lifecycle.restart(opened.containers.resolve(name).id, timeout=timeout, signal=signal),
    )


def _kill(opened: Engine, parsed: Parsed) -> int:
    signal = _signal_name(parsed["signal"]) or "SIGKILL"
    return each(parsed.args, lambda name: opened.lifecycle.kill(opened.containers.resolve(name).id, signal))


def _remove(opened: Engine, parsed: Parsed) -> int:
    from wherry.base.errors import NotFound

    def one(name: str) -> str | None:
        try:
            container = opened.containers.resolve(name)
        except NotFound as error:
            if not parsed["force"]:
                raise
            print(f"Error: {error.message}", file=sys.stderr)
            return ""
        opened.lifecycle.remove(container.id, force=parsed["force"], volumes=parsed["volumes"])
        return None

    return each(parsed.args, one)


def _pause(opened: Engine, parsed: Parsed) -> int:
    return each(parsed.args, lambda name: opened.lifecycle.pause(opened.containers.resolve(name).id))


def _unpause(opened: Engine, parsed: Parsed) -> int:
    return each(parsed.args, lambda name: opened.lifecycle.pause(opened.containers.resolve(name).id, resume=True))


def _wait(opened: Engine, parsed: Parsed) -> int:
    return each(parsed.args, lambda name: str(opened.containers.wait(opened.containers.resolve(name).id)))


def _rename(opened: Engine, parsed: Parsed) -> int:
    opened.containers.rename(parsed.args[0], parsed.args[1])
    return 0


_ACTIONS: dict[str, Callable[[Engine, Parsed], int]] = {
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "kill": _kill,
    "rm": _remove,
    "pause": _pause,
    "unpause": _unpause,
    "wait": _wait,
    "rename": _rename,
    "attach": _attach,
}
