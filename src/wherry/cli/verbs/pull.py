"""`pull`."""

from __future__ import annotations

import sys

from wherry.base.errors import InvalidInput
from wherry.base.progress import nobody
from wherry.cli.context import engine
from wherry.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.base.progress import Event, Sink
    from wherry.engine import Engine
    from wherry.oci.reference import Reference

__all__ = ["run"]

_FLAGS = (
    Flag("all-tags", "bool", "Fetch every tag of the repository", short="a"),
    Flag("disable-content-trust", "bool", "Skip image verification (signatures are not verified)", default=True),
    Flag("platform", "str", "Platform, where the registry has several (linux/arm64)"),
    Flag("quiet", "bool", "Print only the name", short="q"),
)


def run(argv: list[str]) -> int:
    """Fetch images from a registry."""
    command = Command(
        "wherry pull", "[OPTIONS] NAME[:TAG|@DIGEST]", "Fetch an image from its registry", _FLAGS, least=1, most=1
    )
    parsed = command.parse(argv[1:])
    from wherry.oci.reference import parse_reference

    text, quiet, platform = parsed.args[0], parsed["quiet"], parsed["platform"]
    bare = parse_reference(text, default_tag=False)
    reference, opened = parse_reference(text), engine()
    if not parsed["all-tags"]:
        if not quiet and not bare.tag and not bare.digest:
            print("Using default tag: latest", flush=True)
        _pull(opened, reference, platform, quiet=quiet)
        print(reference)
        return 0
    if bare.tag or bare.digest:
        raise InvalidInput("tag can't be used with --all-tags/-a")
    for each in opened.exchange.tags_there(text):
        _pull(opened, each, platform, quiet=quiet)
    print(bare)
    return 0


def _pull(opened: Engine, reference: Reference, platform: str, *, quiet: bool) -> None:
    from wherry.cli.transfers import layer_lines

    before = opened.store.images.find(reference)
    if quiet:
        opened.exchange.pull(reference, platform=platform, progress=nobody)
        return
    path = reference.repository if reference.registry == "docker.io" else reference.familiar_name()
    path = reference.repository if "/" in path else path
    lines = _Titled(f"{reference.tag or reference.digest}: Pulling from {path}", layer_lines(sys.stdout))
    pulled = opened.exchange.pull(reference, platform=platform, progress=lines)
    lines.begin()
    same = before is not None and before.id == pulled.image.id
    what = "Image is up to date" if same else "Downloaded newer image"
    print(f"Digest: {pulled.digest}\nStatus: {what} for {reference.familiar()}", flush=True)


class _Titled:
    """Progress below a title, which is printed once the registry has answered."""

    def __init__(self, title: str, sink: Sink) -> None:
        self._title = title
        self._sink = sink

    def __call__(self, event: Event) -> None:
        self.begin()
        self._sink(event)

    def begin(self) -> None:
        """Print the title, once."""
        title, self._title = self._title, ""
        if title:
            print(title, flush=True)
