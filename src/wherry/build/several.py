"""Several builds at once, as many as there are processors; the first error ends the others."""

from __future__ import annotations

from threading import Lock

from wherry.base.progress import Started, serialized
from wherry.build.builder import Build
from wherry.build.schedule import run_in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wherry.base.progress import Event, Sink
    from wherry.build.request import BuildRequest, BuildResult
    from wherry.engine import Engine
    from wherry.store import Image

__all__ = ["build_all"]


def build_all(
    engine: Engine,
    requests: Mapping[str, BuildRequest],
    progress: Sink,
    fallback: Callable[[BuildRequest], Callable[[str], Image] | None],
) -> dict[str, BuildResult]:
    """Build images that need nothing of each other; the results by name. Of several, titles begin with the name.

    `fallback(request)` is what `build` takes by that name; it is called by one build at a time.
    Raises what the first build that fails raises (see `build`), when all have ended.
    """
    sink = serialized(progress)
    one_at_a_time = Lock()

    def prepared(name: str, request: BuildRequest) -> Build:
        told = sink if len(requests) == 1 else _titled(name, sink)
        return Build(engine, request, told, _alone(fallback(request), one_at_a_time))

    builds = {name: prepared(name, request) for name, request in requests.items()}
    found = {name: one.find() for name, one in builds.items()}
    results = {name: result for name, result in found.items() if result is not None}
    names = [name for name in builds if name not in results]

    def work(number: int) -> None:
        results[names[number]] = builds[names[number]].run()

    def stop() -> None:
        for one in builds.values():
            one.stop()

    run_in_order({number: frozenset() for number in range(len(names))}, work, stop)
    return {name: results[name] for name in builds}


def _alone(call: Callable[[str], Image] | None, lock: Lock) -> Callable[[str], Image] | None:
    """`call` for several threads: by one at a time."""
    if call is None:
        return None

    def alone(name: str) -> Image:
        with lock:
            return call(name)

    return alone


def _titled(name: str, sink: Sink) -> Sink:
    """`sink`, told of `[name build 2/5] RUN` instead of `[build 2/5] RUN`."""

    def call(event: Event) -> None:
        if isinstance(event, Started):
            heading, _, rest = event.title.partition("] ") if event.title.startswith("[") else ("[", "", event.title)
            event = event._replace(title=f"{heading.replace('[', f'[{name} ', 1).rstrip()}] {rest}")
        sink(event)

    return call
