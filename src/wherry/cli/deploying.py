"""What the verbs of deployments share: the opened facade, what values of flags mean, and how an operation is shown."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from wherry.base.errors import Conflict, InvalidInput, NotFound, OperationFailed
from wherry.base.paths import Layout
from wherry.base.progress import Started
from wherry.cli.flags import Flag
from wherry.cli.output import check_format, render_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from wherry.base.progress import Event, Sink
    from wherry.cli.flags import Parsed
    from wherry.compose import ProjectOptions
    from wherry.deploy.environments import Environments, Outcome
    from wherry.deploy.model import Version
    from wherry.deploy.parts import Parts
    from wherry.deploy.status import Status
    from wherry.deploy.target import Secret

__all__ = [
    "DRY_RUN",
    "FORMAT",
    "MAKING",
    "NO_WAIT",
    "ONE_FORMAT",
    "OPERATION",
    "PROJECT_FLAGS",
    "QUIET",
    "VALUE_FLAGS",
    "Watched",
    "carry_out",
    "draft_version",
    "issue_where_wanted",
    "make_version",
    "only_environment",
    "opened",
    "pairs",
    "parts",
    "project_application",
    "project_options",
    "read_secrets",
    "read_text",
    "remark",
    "who",
]

DRY_RUN = Flag("dry-run", "bool", "Print the plan, and do nothing")
FORMAT = Flag("format", "str", "table, json, or a Go template")
ONE_FORMAT = Flag("format", "str", "json, or a Go template")
NO_WAIT = Flag("no-wait", "bool", "Refuse where another operation is under way, instead of waiting for its end")
OPERATION = (NO_WAIT, ONE_FORMAT)  # flags of everything that is carried out
QUIET = Flag("quiet", "bool", "Show only names", short="q")
VALUE_FLAGS = (
    Flag("env", "list", "Variable for all services (NAME=VALUE)", short="e"),
    Flag("secret", "list", "Secret variable, from a file (NAME=FILE, - for standard input)"),
    Flag("secret-file", "list", "Secret below /run/secrets, from a file (NAME=FILE)"),
)
PROJECT_FLAGS = (
    Flag("base-fallback", "str", "What serves for a base that cannot be fetched (none, distro)"),
    Flag("file", "list", "Compose configuration files (- for standard input)", short="f"),
    Flag("label", "str", "What the version is called (default: v1, v2 and so on)"),
    Flag("message", "str", "What is new, for the history", short="m"),
    Flag("profile", "list", "A profile of the project to activate"),
    Flag("project-directory", "str", "Where relative paths begin (default: where the first Compose file is)"),
)

MAKING = frozenset({"base-fallback", "file", "label", "profile"})  # flags of versions made here


class Watched:
    """Passes events on, and knows whether a step of the operation has begun (waiting for another one is none)."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.begun = False

    def __call__(self, event: Event) -> None:
        """Pass it on."""
        if isinstance(event, Started) and not event.task.startswith("wait-"):
            self.begun = True
        self._sink(event)


class _Aside:
    """What parts do beside the steps of operations (build the balancer's image): shown by whoever shows anything."""

    def __init__(self) -> None:
        self.sink: Sink | None = None

    def __call__(self, event: Event) -> None:
        if self.sink is None:
            from wherry.cli.progress import choose

            self.sink = choose("auto", sys.stderr)
        self.sink(event)


_ASIDE = _Aside()
_NOTICED = 1.0  # seconds, after which a signal that came just before a wait is noticed at the latest


def parts() -> Parts:
    """Those of the installation that the environment names."""
    from wherry.deploy.parts import open_parts

    return open_parts(Layout.from_environment(os.environ, os.geteuid()), _ASIDE)


def opened(given: Parts, progress: Sink, *, wait: bool = True) -> Environments:
    """The facade for whoever is logged in."""
    from wherry.deploy.environments import Environments

    return Environments(given, who(), progress, wait=wait)


def who() -> str:
    """The name of whoever is logged in, behind `sudo` too."""
    import pwd

    named = os.environ.get("SUDO_USER") or os.environ.get("USER")
    if named:
        return named
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def carry_out(
    name: str, parsed: Parsed, action: Callable[[Environments], Outcome], *, given: Parts | None = None
) -> int:
    """Do an operation and say what came of it, by the flags of OPERATION. Ctrl-C aborts what has begun; a second one
    leaves it as it is.
    """
    check_format(parsed["format"])
    given = given or parts()
    history, journal = given.records.history, given.records.journal
    try:
        with _shown(name, given) as (sink, say):
            watched = Watched(sink)
            environments = opened(given, watched, wait=not parsed["no-wait"])
            outcome = _interruptible(name, environments, watched, lambda: action(environments), say)
    except OperationFailed as error:
        if parsed["format"]:
            from wherry.cli.outcomes import failure_figures

            print(render_one(failure_figures(name, error.message, history, journal), parsed["format"]))
        raise
    if outcome is None:
        return 130
    if parsed["format"]:
        from wherry.cli.outcomes import outcome_figures

        print(render_one(outcome_figures(outcome, history, journal), parsed["format"]))
    elif outcome.said:
        print(outcome.said)
    else:
        print("\n".join(outcome.plan) or f"{name}: nothing had to be done")
    return 0


@contextmanager
def _shown(name: str, given: Parts) -> Iterator[tuple[Sink, Callable[[str], None]]]:
    """Who is told events and who is told lines: a picture on a terminal, else plain lines."""
    from wherry.cli.progress import plain
    from wherry.cli.region import can_draw

    if not can_draw(sys.stderr):
        yield plain(sys.stderr), _to_errors
        return
    from wherry.cli.picture import Picture
    from wherry.deploy.status import take_status

    def look() -> Status:
        return take_status(given, name, is_held=lambda _: True)

    before = _ASIDE.sink
    with Picture(sys.stderr, look, colours=not os.environ.get("NO_COLOR")) as picture:
        _ASIDE.sink = picture.aside
        try:
            yield picture, picture.say
        finally:
            _ASIDE.sink = before


def _to_errors(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _interruptible(
    name: str,
    environments: Environments,
    watched: Watched,
    action: Callable[[], Outcome],
    say: Callable[[str], None] = _to_errors,
) -> Outcome | None:
    """`action` in a thread of its own, so that Ctrl-C ends no step in the middle; None where it was left alone."""
    import threading
    from queue import Empty, SimpleQueue

    found: list[Outcome] = []
    failed: list[BaseException] = []
    # An interrupted wait for a thread or an Event may leave it half taken (CPython 3.11); one for a queue does not.
    ended: SimpleQueue[None] = SimpleQueue()

    def work() -> None:
        try:
            found.append(action())
        except BaseException as error:  # noqa: BLE001 (raised again by the caller's thread)
            failed.append(error)
        finally:
            ended.put(None)

    def wait() -> None:
        while not (found or failed):
            try:
                ended.get(timeout=_NOTICED)
            except Empty:
                continue

    thread = threading.Thread(target=work, daemon=True)
    try:
        try:
            thread.start()
            wait()
        except KeyboardInterrupt:
            if not watched.begun:
                return None
            say("Aborting, and taking back what was done; Ctrl-C again leaves it as it is")
            _abort(name, environments, say)
            wait()
    except KeyboardInterrupt:
        say(f"Left as it is: the next command ends it, or `wherry env recover {name}`")
        return None
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _abort(name: str, environments: Environments, say: Callable[[str], None]) -> None:
    try:
        environments.abort(name)
    except Conflict as error:
        say(error.message)


def project_options(parsed: Parsed) -> ProjectOptions:
    """The project that the flags name."""
    from wherry.compose import ProjectOptions

    if parsed["base-fallback"] not in ("", "none", "distro"):
        raise InvalidInput(f"invalid --base-fallback: {parsed['base-fallback']}", hint="none or distro")
    return ProjectOptions(
        dict(os.environ),
        os.getcwd(),
        files=tuple(parsed["file"]),
        directory=parsed["project-directory"],
        profiles=tuple(parsed["profile"]),
        base_fallback=parsed["base-fallback"],
    )


def draft_version(given: Parts, application: str, parsed: Parsed) -> Version:
    """What a dry run deploys: the version that would be made here, without building it; it says so."""
    from wherry.cli.composing import warn
    from wherry.deploy.applications import Applications

    options = project_options(parsed)
    version = Applications(given).draft_version(application, options, label=parsed["label"], warn=warn)
    unless = "" if parsed["label"] else ", unless an earlier version is equal to it"
    print(f"Version {version.label}: built from here{unless}. Nothing is built now.", file=sys.stderr)
    return version


def project_application(parsed: Parsed) -> str:
    """What the application of the project here is called. Raises NotFound where there is no project."""
    from wherry.cli.composing import warn
    from wherry.deploy.versions import application_name

    return application_name(project_options(parsed), warn)


def make_version(given: Parts, application: str, parsed: Parsed) -> str:
    """Build a version from the project here, or find the one that is equal to it; its label."""
    from wherry.cli.composing import warn
    from wherry.cli.progress import choose
    from wherry.deploy.applications import Applications

    known = {one.label for one in given.records.versions(application)}
    version = Applications(given).add_version(
        application,
        project_options(parsed),
        label=parsed["label"],
        message=parsed["message"],
        progress=choose("auto", sys.stderr),
        warn=warn,
        reuse=True,
    )
    said = "is made" if version.label not in known else "is equal to what is here: no new one is made"
    print(f"Version {version.label} of {application} {said}", file=sys.stderr)
    return version.label


def remark(parsed: Parsed, words: str) -> None:
    """Say something on standard output, or on standard error where that is for programs."""
    print(words, file=sys.stderr if parsed["format"] else sys.stdout)


def issue_where_wanted(given: Parts, name: str, changed: Mapping[str, str], parsed: Parsed) -> int:
    """Ask for the environment's certificate where that is new and no `wherry serve` does it; the exit code.

    Raises Denied and Unavailable where the authority gives none; it is asked again later.
    """
    from wherry.base.locks import is_held

    if changed.get("tls") != "acme" or is_held(f"{given.layout.locks}/serve"):
        return 0
    from wherry.deploy.acme import issue

    remark(parsed, f"Certificate for {', '.join(issue(given, name).hosts)} issued")
    return 0


def only_environment(environments: Environments, application: str) -> str:
    """The application's only environment. Raises NotFound where there is none, InvalidInput where there are several."""
    found = [one.name for one in environments.all(application)]
    if not found:
        raise NotFound(
            f"application {application} has no environment", hint="make one: `wherry env create NAME` in its directory"
        )
    if found[1:]:
        raise InvalidInput(f"application {application} has several environments: {', '.join(found)}", hint="name one")
    return found[0]


def pairs(texts: Iterable[str], what: str) -> dict[str, str]:
    """`NAME=VALUE` texts. Raises InvalidInput for what has no `=` or no name."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InvalidInput(f"{text}: {what} is written NAME=VALUE")
        found[name] = value
    return found


def read_secrets(variables: Iterable[str], files: Iterable[str]) -> list[Secret]:
    """Secrets from `NAME=FILE` texts, `-` for standard input; a variable ends before its last line's end.

    Raises InvalidInput where a name or standard input is there twice.
    """
    from wherry.deploy.target import Secret

    plain, whole = pairs(variables, "a secret (NAME=FILE)"), pairs(files, "a secret (NAME=FILE)")
    twice = sorted(plain.keys() & whole.keys())
    if twice:
        raise InvalidInput(f"the secret {twice[0]} is given twice", hint="as --secret, or as --secret-file")
    if [*plain.values(), *whole.values()].count("-") > 1:
        raise InvalidInput("standard input is read once: only one secret can come from it")
    found = [Secret(name, read_text(path).removesuffix("\n")) for name, path in plain.items()]
    return found + [Secret(name, read_text(path), True) for name, path in whole.items()]


def read_text(path: str) -> str:
    """What a file holds, `-` for standard input. Raises InvalidInput where it is not text."""
    try:
        if path == "-":
            return sys.stdin.read()
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not text in UTF-8") from None
