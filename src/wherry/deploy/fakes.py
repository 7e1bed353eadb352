"""A target, a balancer and contents of versions that run nothing: for tests, here and elsewhere.

All of a world's calls go through `World.call`, which may end any of them as a kill would.
"""

from __future__ import annotations

import threading

from wherry.base.errors import NotFound, WherryError
from wherry.base.progress import nobody
from wherry.deploy.balancer import Listener
from wherry.deploy.haproxy.applied import Applied, merge, without
from wherry.deploy.parts import Parts
from wherry.deploy.probing import Probe
from wherry.deploy.routing import ServerState
from wherry.deploy.target import ObservedInstance, ObservedService
from wherry.deploy.versions import Content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from wherry.base.paths import Layout
    from wherry.base.progress import Sink
    from wherry.deploy.balancer import AccessRecord
    from wherry.deploy.routing import Check, Section
    from wherry.deploy.target import AccessoryWish, InstanceWish, LogLine, Release

__all__ = ["FakeBalancer", "FakeContents", "FakeTarget", "Killed", "World", "fake_parts"]


class Killed(BaseException):
    """What `kill -9` does to whoever made the call."""


class World:
    """What the fakes share: a clock (seconds) that `pause` moves, what was called, and when to kill.

    `fails` are versions whose instances do not start, `hangs` those whose instances are still starting however long one
    waits (`hangs` may hold "accessories", too), `sick` those that never answer well, `release_codes` the exit codes of
    versions' release commands. With `kill_at` N, the call N (from 0) raises Killed, before or after its
    effect.
    """

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.calls: list[str] = []
        self.fails: set[str] = set()
        self.hangs: set[str] = set()
        self.sick: set[str] = set()
        self.release_codes: dict[str, int] = {}
        self.kill_at = -1
        self.kill_after = False
        self._lock = threading.Lock()

    def call(self, words: str, effect: Callable[[], None] = lambda: None) -> None:
        """Note a call, and let it have its effect."""
        with self._lock:
            number = len(self.calls)
            self.calls.append(words)
            if number == self.kill_at and not self.kill_after:
                raise Killed(words)
            effect()
            if number == self.kill_at:
                raise Killed(words)

    def wait_for(self, what: str, look: Callable[[], None]) -> None:
        """As those do who look once a second; for ever where it hangs."""
        while what in self.hangs:
            self.pause(1.0)
            look()

    def clock(self) -> int:
        """Now, in nanoseconds."""
        return round(self.now * 1e9)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.now += max(seconds, 0.001)


class FakeTarget:
    """Instances are values: `instances[environment][name]` is the wish that one was started with.

    `dead` gives exit codes to instances, `changes` other values to their services.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.instances: dict[str, dict[str, InstanceWish]] = {}
        self.rebuilt: dict[str, int] = {}
        self.accessories: dict[str, AccessoryWish] = {}
        self.dead: dict[tuple[str, str], int] = {}
        self.restarts: dict[tuple[str, str], int] = {}
        self.changes: dict[tuple[str, str], dict[str, Any]] = {}
        self.started: dict[tuple[str, str], float] = {}
        self.released: list[str] = []
        self.graces: dict[str, float | None] = {}  # that instances were stopped with
        self._addresses: list[tuple[str, str, str]] = []

    def address_of(self, environment: str, name: str, service: str) -> str:
        """The address of a service of an instance (of an accessory, with an empty name), which is nobody else's."""
        who = environment, name, service
        if who not in self._addresses:
            self._addresses.append(who)
        number = self._addresses.index(who)
        return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"

    def owner_of(self, address: str) -> tuple[str, str, str]:
        """Environment, instance and service that an address was given to."""
        _, high, middle, low = map(int, address.split("."))
        return self._addresses[high << 16 | middle << 8 | low]

    def observe(self, environment: str) -> list[ObservedInstance]:
        """See Target."""
        found = [
            ObservedInstance(environment, name, wish.version, tuple(self._service(wish, one) for one in wish.services))
            for name, wish in sorted(self.instances.get(environment, {}).items(), key=lambda item: int(item[0][2:]))
        ]
        if environment in self.accessories:
            wish = self.accessories[environment]
            services = tuple(self._accessory(environment, one) for one in wish.services)
            found.append(ObservedInstance(environment, "", "", services))
        return found

    def _accessory(self, environment: str, service: str) -> ObservedService:
        code = self.dead.get((environment, ""))
        address = self.address_of(environment, "", service) if code is None else ""
        status = "running" if code is None else "exited"
        rebuilt = self.rebuilt.get(environment, 0)
        container = f"{service}-{rebuilt}" if rebuilt else service
        return ObservedService(service, container, status, "", code or 0, 0, 0.0, address)

    def observe_all(self) -> dict[str, list[ObservedInstance]]:
        """See Target."""
        return {name: self.observe(name) for name in {*self.instances, *self.accessories}}

    def _service(self, wish: InstanceWish, service: str) -> ObservedService:
        where = wish.environment, wish.name
        code = self.dead.get(where)
        found = ObservedService(
            service,
            f"{wish.environment}-{wish.name}-{service}",
            "running" if code is None else "exited",
            "",
            code or 0,
            self.restarts.get(where, 0),
            self.started.get(where, self._world.now),
            self.address_of(wish.environment, wish.name, service) if code is None else "",
        )
        return found._replace(**self.changes.get(where, {}))

    def start(self, wish: InstanceWish, progress: Sink, look: Callable[[], None] = lambda: None) -> ObservedInstance:
        """See Target."""
        del progress

        def effect() -> None:
            self.dead.pop((wish.environment, wish.name), None)
            self.instances.setdefault(wish.environment, {})[wish.name] = wish
            self.started[wish.environment, wish.name] = self._world.now

        self._world.call(f"start {wish.name} {wish.version}", effect)
        self._world.wait_for(wish.version, look)
        if wish.version in self._world.fails:
            raise WherryError(f"web of {wish.name} exited with code 1")
        return next(one for one in self.observe(wish.environment) if one.name == wish.name)

    def stop(self, environment: str, name: str, grace: float | None, progress: Sink) -> None:
        """See Target."""
        del progress

        def effect() -> None:
            self.graces[name] = grace
            self.instances.get(environment, {}).pop(name, None)
            self.dead.pop((environment, name), None)

        self._world.call(f"stop {name}", effect)

    def restart(self, environment: str, name: str) -> None:
        """See Target."""

        def effect() -> None:
            self.dead.pop((environment, name), None)

        self._world.call(f"restart {name}", effect)

    def ensure_accessories(
        self,
        wish: AccessoryWish,
        progress: Sink,
        *,
        replace: bool = False,
        anew: bool = False,
        look: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """See Target."""
        del progress
        before = self.accessories.get(wish.environment, wish)
        differ = [one for one in wish.services if _definition(before, one) != _definition(wish, one)]
        changed = [] if replace or anew else differ
        kept = before if changed else wish

        def effect() -> None:
            if anew:
                self.rebuilt[wish.environment] = self.rebuilt.get(wish.environment, 0) + 1
            self.accessories[wish.environment] = kept
            self.dead.pop((wish.environment, ""), None)

        self._world.call(f"accessories {' '.join(wish.services)}", effect)
        self._world.wait_for("accessories", look)
        return changed

    def release(self, release: Release, output: Callable[[bytes], None]) -> int:
        """See Target."""
        version = release.instance.version
        self._world.call(f"release {version}", lambda: self.released.append(version))
        output(b"releasing\n")
        return self._world.release_codes.get(version, 0)

    def terminate(self, environment: str, progress: Sink, *, volumes: bool) -> None:
        """See Target."""
        del progress

        def effect() -> None:
            self.instances.pop(environment, None)
            self.accessories.pop(environment, None)

        self._world.call(f"terminate {environment}{' with volumes' if volumes else ''}", effect)

    def logs(
        self,
        environment: str,
        *,
        follow: bool = False,
        tail: int = -1,
        instances: Sequence[str] = (),
        services: Sequence[str] = (),
    ) -> Iterator[LogLine]:
        """Nobody says anything."""
        del environment, follow, tail, instances, services
        return iter(())


def _definition(wish: AccessoryWish, service: str) -> Any:
    return wish.model["services"].get(service)


class FakeBalancer:
    """Sections are kept; `capacity` tells, for each change, how many servers of an environment could take a request.

    `busy` gives instances the moments (the world's seconds) until which requests of theirs are under way; whoever waits
    for them lets time pass.
    """

    def __init__(self, world: World, target: FakeTarget) -> None:
        self._world = world
        self._target = target
        self._applied = Applied()
        self._runs = False
        self.capacity: dict[str, list[int]] = {}
        self.records: list[AccessRecord] = []
        self.busy: dict[str, float] = {}
        self.down: dict[str, float] = {}  # instances that it calls so, and for how many seconds

    def ensure(self) -> Listener:
        """See LoadBalancer."""
        self._world.call("ensure", lambda: setattr(self, "_runs", True))
        return Listener("127.0.0.1", 80)

    def apply(self, *sections: Section) -> None:
        """See LoadBalancer."""

        def effect() -> None:
            self._applied = merge(self._applied, sections)
            for one in sections:
                self.capacity.setdefault(one.environment, []).append(self.serving(one.environment))

        self._world.call(f"apply {' '.join(one.environment for one in sections)}", effect)

    def serving(self, environment: str) -> int:
        """How many servers of the environment could take a request now."""
        section = self._applied.sections.get(environment)
        alive = self._target.instances.get(environment, {})
        pools = section.pools if section else ()
        return min(
            (
                sum(
                    1
                    for one in pool.servers
                    if one.weight
                    and not one.draining
                    and one.instance in alive
                    and alive[one.instance].version not in self._world.sick
                )
                for pool in pools
            ),
            default=0,
        )

    def remove(self, environment: str) -> None:
        """See LoadBalancer."""

        def effect() -> None:
            self._applied = without(self._applied, environment)

        self._world.call(f"forget {environment}", effect)

    def sections(self) -> dict[str, Section]:
        """See LoadBalancer."""
        return dict(self._applied.sections)

    def states(self, environment: str) -> list[ServerState]:
        """See LoadBalancer."""
        section = self._applied.sections.get(environment)
        return [
            ServerState(
                pool.name,
                one.instance,
                "draining" if one.draining else "down" if one.instance in self.down else "up",
                "Connection refused" if one.instance in self.down else "",
                *(0, 0, (0, 0, 0, 0, 0), 0, 0.0, 0.0),
                one.weight,
                self.down.get(one.instance, 0.0),
            )
            for pool in (section.pools if section and self._runs else ())
            for one in pool.servers
        ]

    def all_states(self) -> dict[str, list[ServerState]]:
        """See LoadBalancer."""
        return {name: self.states(name) for name in self._applied.sections}

    def wait_idle(self, environment: str, instance: str, timeout: float) -> bool:
        """See LoadBalancer."""
        del environment
        left = self.busy.get(instance, 0.0) - self._world.now
        if left > 0:
            self._world.pause(min(left, timeout))
        return left <= timeout

    def access(self, environment: str, since: float = 0.0, *, follow: bool = False) -> Iterator[AccessRecord]:
        """See LoadBalancer."""
        del follow
        if not self._runs:
            return iter(())
        return (one for one in self.records if environment in ("", one.environment) and one.time >= since)

    def running(self) -> bool:
        """See LoadBalancer."""
        return self._runs

    def stop(self) -> None:
        """See LoadBalancer."""
        self._runs = False


class FakeContents:
    """Contents of versions that were put there: `models` by the directory of the project."""

    def __init__(self, models: dict[str, dict[str, Any]] | None = None) -> None:
        self.models = models or {}
        self.secrets: dict[str, str] = {}
        self.kept: set[str] = set()
        self.gone: set[str] = set()

    def build(
        self, options: Any, owner: str, progress: Sink = nobody, warn: Callable[[str], None] = lambda _: None
    ) -> Content:
        """See Contents."""
        del progress
        model = self.draft(options, warn).model
        self.kept.add(owner)
        return Content(model, {name: f"sha256:{name}" for name in model["services"]}, self.secrets)

    def draft(self, options: Any, warn: Callable[[str], None] = lambda _: None) -> Content:
        """See Contents."""
        del warn
        if options.cwd not in self.models:
            raise NotFound(f"there is no project in {options.cwd}")
        return Content(self.models[options.cwd], {})

    def missing(self, images: Iterable[str]) -> list[str]:
        """See Contents."""
        return [one for one in images if one in self.gone]

    def release(self, owner: str) -> None:
        """See Contents."""
        self.kept.discard(owner)


def fake_parts(layout: Layout, world: World | None = None) -> Parts:
    """Parts whose records are real, in the layout's database, and whose other parts are fakes of one world."""
    from wherry.deploy.records import open_records

    world = world or World()
    target = FakeTarget(world)

    def probe(address: str, port: int, check: Check, host: str = "") -> Probe:
        del port, host
        environment, name, _ = target.owner_of(address)
        wish = target.instances.get(environment, {}).get(name)
        if wish is None or wish.version in world.sick:
            return Probe(False, f"{check.path} answered 503, which is not among {check.codes}", 0.001)
        return Probe(True, "", 0.001)

    return Parts(
        layout=layout,
        records=open_records(layout, world.clock),
        target=target,
        balancer=FakeBalancer(world, target),
        listener=Listener("127.0.0.1", 80),
        versions=FakeContents(),
        probe=probe,
        clock=world.clock,
        pause=world.pause,
    )
