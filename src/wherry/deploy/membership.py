"""Which instances an environment has, and which of them get requests: rows first, then the balancer.

The rows say what the balancer is to hold. Whoever changes them applies them afterwards; where that was cut off,
applying them again, by anybody, mends it.
"""

from __future__ import annotations

from wherry.base.locks import FileLock
from wherry.deploy.extension import parse_extension
from wherry.deploy.plan import Member
from wherry.deploy.sections import build_section, hosts_of, with_last_addresses
from wherry.deploy.settings import Settings
from wherry.deploy.target import AccessoryWish, InstanceWish, Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from wherry.deploy.extension import Extension
    from wherry.deploy.model import Version
    from wherry.deploy.parts import Parts
    from wherry.deploy.routing import Section
    from wherry.deploy.target import ObservedInstance

__all__ = ["Membership"]

_DOWN = "down"


class Membership:
    """The instances of the environments of one installation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._records = parts.records
        self._extensions: dict[tuple[str, str], Extension] = {}  # a version never changes

    # --- what there is

    def members(self, environment: str, dead: Collection[str] = ()) -> list[Member]:
        """All instances as they are found. Those that are `dead` are not healthy, nor are those that the balancer has
        called down for the environment's grace: one that starts, as after a reboot, or is busy may come back before.
        """
        observed = self._observed(environment)
        lost = self._lost(environment)
        return [
            Member(
                row.name,
                row.revision,
                row.weight,
                row.draining,
                running=_runs(observed.get(row.name)),
                healthy=row.name not in dead and row.name not in lost,
            )
            for row in self._records.instances(environment)
        ]

    def _lost(self, environment: str) -> set[str]:
        down = [one for one in self._parts.balancer.states(environment) if one.status == _DOWN]
        if not down:
            return set()
        grace = Settings(self._records.environment(environment).settings).number("health.grace")
        return {one.instance for one in down if one.changed >= grace}

    def _observed(self, environment: str) -> dict[str, ObservedInstance]:
        return {one.name: one for one in self._parts.target.observe(environment) if one.name}

    def version_of(self, environment: str, revision: int) -> Version:
        """The version that a revision is of."""
        application = self._records.environment(environment).application
        return self._records.version(application, self._records.revision(environment, revision).version)

    def extension_of(self, environment: str, revision: int) -> Extension:
        """What the version of a revision says about being deployed."""
        application = self._records.environment(environment).application
        key = application, self._records.revision(environment, revision).version
        if key not in self._extensions:
            self._extensions[key] = parse_extension(self._records.version(*key).model)
        return self._extensions[key]

    # --- what the balancer is to hold

    def section(self, environment: str) -> Section:
        """What the environment wants of the balancer now."""
        from wherry.deploy.tls import certificates, challenges

        found = self._records.environment(environment)
        rows = self._records.instances(environment)
        revisions = {one.revision for one in rows if one.weight} | ({found.revision} if found.revision else set())
        extensions = {one: self.extension_of(environment, one) for one in revisions}
        hosts = list(dict.fromkeys(host for one in extensions.values() for host in hosts_of(found, one)))
        section = build_section(
            found,
            Settings(found.settings),
            rows,
            extensions,
            with_last_addresses(self._observed(environment), self._parts.balancer.sections().get(environment)),
            certificates(self._parts.layout, found, hosts) if hosts else (),
        )
        return section._replace(challenges=challenges(self._parts.layout, environment))

    def hold(self, *environments: str) -> None:
        """Have the balancer hold what these environments want, all at once.

        Whoever is the last to call it has looked at the rows last: a certificate may come while a deployment goes on.
        """
        with FileLock(f"{self._parts.layout.locks}/membership"):
            self._parts.balancer.apply(*map(self.section, environments))

    def enter(self, environment: str, weights: Sequence[tuple[str, int]]) -> None:
        """Give instances these weights; those that drained serve again."""
        self._records.weigh(environment, dict(weights))
        self.hold(environment)

    def leave(self, environment: str, names: Sequence[str], look: Callable[[], None]) -> list[str]:
        """Let instances end what they have, up to the environment's limit, and take them out; who was not done then.

        `look` is called now and then, and may raise.
        """
        self._records.drain(environment, names)
        self.hold(environment)
        late = self._wait_idle(environment, names, look)
        self._records.weigh(environment, dict.fromkeys(names, 0))
        self.hold(environment)
        return late

    def _wait_idle(self, environment: str, names: Sequence[str], look: Callable[[], None]) -> list[str]:
        """At most a second without a look."""
        limit = Settings(self._records.environment(environment).settings).number("drain")
        deadline = self._parts.clock() / 1e9 + limit
        busy = list(names)
        while busy:
            left = deadline - self._parts.clock() / 1e9
            if self._parts.balancer.wait_idle(environment, busy[0], max(0.0, min(1.0, left))):
                busy.pop(0)
            elif left <= 0:
                break
            look()
        return busy

    # --- what the target is asked for

    def instance_wish(self, environment: str, name: str, revision: int) -> InstanceWish:
        """An instance of a revision, with its secrets in the clear."""
        version, extension = self.version_of(environment, revision), self.extension_of(environment, revision)
        return InstanceWish(
            environment,
            name,
            version.label,
            version.model,
            extension.stateless,
            self._records.revision(environment, revision).variables,
            self._secrets(environment, revision, version),
        )

    def accessory_wish(self, environment: str, revision: int) -> AccessoryWish:
        """The stateful services as a revision wants them."""
        version, extension = self.version_of(environment, revision), self.extension_of(environment, revision)
        secrets = self._secrets(environment, revision, version)
        return AccessoryWish(
            environment,
            version.model,
            extension.accessories,
            self._records.revision(environment, revision).variables,
            secrets,
            {one.name: self._records.mark(one) for one in secrets},
        )

    def _secrets(self, environment: str, revision: int, version: Version) -> tuple[Secret, ...]:
        """The version's own, and those of the environment, which take their place where they have the same name."""
        found = {name: Secret(name, value, file=True) for name, value in self._records.version_secrets(version).items()}
        return tuple({**found, **{one.name: one for one in self._records.secrets(environment, revision)}}.values())


def _runs(instance: ObservedInstance | None) -> bool:
    """Whether all of it runs, or is being started again; a service that has ended well has done its work."""
    if instance is None or not instance.services:
        return False
    return all(
        one.status in ("running", "restarting", "paused") or (one.status == "exited" and one.exit_code == 0)
        for one in instance.services
    )
