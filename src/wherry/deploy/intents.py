"""What is asked of an environment, as a wish, a way to plan it, and what is to be written down with it."""

from __future__ import annotations

from wherry.base.errors import Conflict, InvalidInput, NotFound
from wherry.base.values import NamedTuple
from wherry.deploy.model import Revision, check_secret, check_variable
from wherry.deploy.plan import (
    converge,
    plan_deployment,
    plan_rebuild,
    plan_restart,
    plan_swap,
    plan_termination,
)
from wherry.deploy.sections import hosts_of
from wherry.deploy.settings import Settings, check_settings
from wherry.deploy.steps import Settle
from wherry.deploy.wish import Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from wherry.deploy.extension import Extension
    from wherry.deploy.membership import Membership
    from wherry.deploy.model import Environment, Version
    from wherry.deploy.parts import Parts
    from wherry.deploy.plan import Member, Plan
    from wherry.deploy.target import Secret

    Planner = Callable[[Wish, Sequence[Member], int], Plan]

__all__ = ["Intent", "Intents", "check_given"]


class Intent(NamedTuple):
    """`plan` takes the wish, the members as they are found, and the number of the first new instance.

    With a `revision` (its number and the wish's are still to be given) it is a deployment. `status` is what the
    environment's is meanwhile.
    """

    kind: str
    wish: Wish
    plan: Planner
    status: str = "Updating"
    revision: Revision | None = None
    secrets: tuple[Secret, ...] = ()
    message: str = ""


def check_given(variables: Iterable[str], secrets: Mapping[str, bool]) -> None:
    """Raises InvalidInput for names that no variable, or no file below /run/secrets (true), has, or that are both."""
    hidden = [name for name, file in secrets.items() if not file]
    for name in (*variables, *hidden):
        check_variable(name)
    for name in (one for one, file in secrets.items() if file):
        check_secret(name)
    both = sorted(set(variables) & set(hidden))
    if both:
        raise InvalidInput(f"{both[0]} cannot be a variable and a secret at once", hint="remove one of them")


def _check_values(variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        if "\0" in value:
            raise InvalidInput(f"{name}: a variable cannot hold a NUL character", hint="give it as a secret file")


class Intents:
    """Makes them from what the records say. They hold while the environment's lock does."""

    def __init__(self, parts: Parts, membership: Membership) -> None:
        self._parts = parts
        self._records = parts.records
        self._membership = membership

    def base(self, environment: Environment) -> int:
        """The revision whose variables and secrets the next one takes over: the current, else the last one tried."""
        if environment.revision:
            return environment.revision
        deployments = self._records.history.deployments(environment.name)
        if not deployments:
            raise Conflict(f"nothing was ever deployed to {environment.name}")
        return deployments[0].after

    # --- deployments

    def launch(
        self,
        environment: Environment,
        version: Version,
        variables: Mapping[str, str],
        secrets: Sequence[Secret],
        message: str,
        *,
        kind: str,
    ) -> Intent:
        """The first deployment of an environment."""
        files = {one.name: one.file for one in secrets}
        revision = Revision(environment.name, 0, version.label, dict(variables), files)
        return self._deployment(environment, kind, revision, secrets, message, version)._replace(status="Launching")

    def runs(self, environment: Environment, label: str) -> bool:
        """Whether all instances that are wanted, and no others, serve the version as the current revision has it."""
        rows = self._records.instances(environment.name)
        current = all(one.serves and one.revision == environment.revision for one in rows)
        return current and environment.version == label and len(rows) == environment.size

    def deploy(
        self, environment: Environment, version: Version, policy: str, batch: str, message: str, *, replace: bool
    ) -> Intent:
        """Another version with the same variables and secrets."""
        base = self.base(environment)
        revision = self._records.revision(environment.name, base)._replace(number=0, version=version.label)
        secrets = self._records.secrets(environment.name, base)
        given = {name: value for name, value in (("policy", policy), ("batch", batch)) if value}
        settings = Settings(environment.settings).with_changes(check_settings(given))
        changed = environment._replace(settings=settings.given)
        return self._deployment(changed, "deploy", revision, secrets, message, version, replace=replace)

    def rollback(self, environment: Environment, to: int, message: str) -> Intent:
        """The version, the variables and the secrets of an earlier revision."""
        name = environment.name
        wanted = to or (
            self._records.history.deployment(name, environment.revision).before if environment.revision else 0
        )
        if not wanted:
            raise Conflict(f"there is nothing before what runs on {name}", hint=f"see `wherry env history {name}`")
        if self._records.history.deployment(name, wanted).after == environment.revision:
            raise Conflict(f"deployment {wanted} is what runs on {name}")
        revision = self._records.revision(name, wanted)._replace(number=0)
        message = message or f"back to deployment {wanted}"
        return self._deployment(environment, "rollback", revision, self._records.secrets(name, wanted), message)

    def reconfigure(
        self,
        environment: Environment,
        variables: Mapping[str, str],
        secrets: Sequence[Secret],
        removed: Sequence[str],
        message: str,
    ) -> Intent | None:
        """The current version with other variables and secrets; None where nothing would change."""
        base = self.base(environment)
        revision = self._records.revision(environment.name, base)
        held = {one.name: one for one in self._records.secrets(environment.name, base)}
        missing = [name for name in removed if name not in revision.variables and name not in held]
        if missing:
            raise NotFound(f"environment {environment.name} has no variable or secret {missing[0]}")
        new_variables = {name: value for name, value in revision.variables.items() if name not in removed}
        new_variables.update(variables)
        new_secrets = {name: one for name, one in held.items() if name not in removed}
        new_secrets.update((one.name, one) for one in secrets)
        if new_variables == revision.variables and new_secrets == held and environment.revision:
            return None
        files = {name: one.file for name, one in new_secrets.items()}
        changed = revision._replace(number=0, variables=new_variables, secrets=files)
        return self._deployment(environment, "configuration", changed, tuple(new_secrets.values()), message)

    def restore(self, environment: Environment) -> Intent:
        """What a terminated environment ran last, anew."""
        last = self._records.history.deployments(environment.name)
        base = environment.revision or (last[0].after if last else 0)
        if not base:
            raise Conflict(f"nothing was ever deployed to {environment.name}")
        revision = self._records.revision(environment.name, base)._replace(number=0)
        secrets = self._records.secrets(environment.name, base)
        restored = environment._replace(revision=0, version="")
        return self._deployment(restored, "restore", revision, secrets, "restored")._replace(status="Launching")

    def _deployment(
        self,
        environment: Environment,
        kind: str,
        revision: Revision,
        secrets: Sequence[Secret],
        message: str,
        version: Version | None = None,
        *,
        replace: bool = False,
    ) -> Intent:
        from wherry.deploy.extension import parse_extension
        from wherry.deploy.hooks import CONFIGURATION, phases

        check_given(revision.variables, revision.secrets)
        _check_values({**revision.variables, **{one.name: one.value for one in secrets if not one.file}})
        version = version or self._records.version(environment.application, revision.version)
        self._check_images(version)
        extension = parse_extension(version.model)
        self._check_hosts(environment, extension)
        given, hooks = Settings(environment.settings), phases(version.model)
        changes = kind == "configuration" and bool(environment.revision)  # else it brings a version that never ran
        kind_of_hooks = CONFIGURATION if changes else ""
        wish = self._wish(environment)._replace(
            version=version.label,
            size=environment.size,
            policy=given.text("policy"),
            batch=given.batch.of(environment.size),
            percent=given.number("split.percent"),
            evaluation=given.number("split.evaluation"),
            release=extension.release is not None and not (changes or kind == "rollback"),
            predeploy=f"{kind_of_hooks}predeploy" in hooks,
            postdeploy=f"{kind_of_hooks}postdeploy" in hooks,
            hooks=kind_of_hooks,
            accessories=bool(extension.accessories),
            replace_accessories=replace,
        )
        return Intent(kind, wish, plan_deployment, "Updating", revision, tuple(secrets), message)

    def _check_images(self, version: Version) -> None:
        missing = set(self._parts.versions.missing(version.images.values()))
        for service, image in version.images.items():
            if image in missing:
                raise NotFound(
                    f"the image of {service} of version {version.label} is not here any more",
                    hint="deploy a new version",
                )

    def _check_hosts(self, environment: Environment, extension: Extension) -> None:
        wanted = hosts_of(environment, extension)
        for other, section in self._parts.balancer.sections().items():
            taken = {rule.host for rule in section.rules} if other != environment.name else set()
            for host in (one for one in wanted if one in taken):
                own = "choose another one with --host" if host == environment.host else "it is under x-wherry.routes"
                raise Conflict(f"environment {other} has the host {host}", hint=own)

    # --- everything else

    def _wish(self, environment: Environment) -> Wish:
        """What there is, to go back to."""
        return Wish(
            before=environment.revision,
            before_version=environment.version,
            before_size=environment.size,
            undoes=Settings(environment.settings).on("rollback"),
        )

    def _steady(self, environment: Environment) -> Wish:
        """What there is, as what is wanted, too."""
        if not environment.revision:
            raise Conflict(
                f"no version runs on {environment.name}", hint=f"`wherry deploy {environment.name}` changes that"
            )
        return self._wish(environment)._replace(
            revision=environment.revision,
            version=environment.version,
            size=environment.size,
            batch=Settings(environment.settings).batch.of(environment.size),
            undoes=True,
        )

    def scale(self, environment: Environment, size: int) -> Intent | None:
        """So many instances; None where there are."""
        wish = self._steady(environment)._replace(size=size)
        rows = [
            one for one in self._records.instances(environment.name) if one.revision == wish.revision and one.serves
        ]
        return None if size == environment.size == len(rows) else Intent("scale", wish, converge)

    def mend(self, environment: Environment, dead: Mapping[str, str]) -> Intent | None:
        """As many instances as are wanted, without the dead ones; None where there are."""
        wish = self._steady(environment)
        rows = self._records.instances(environment.name)
        others = {one.name for one in rows if one.revision != wish.revision and one.name not in dead}
        wish = wish._replace(size=max(0, wish.size - len(others)))
        mine = [one for one in rows if one.name not in others]
        if len(mine) >= wish.size and not any(one.name in dead for one in mine):
            return None

        def plan(wish: Wish, members: Sequence[Member], first: int) -> Plan:
            found = converge(wish, [one for one in members if one.name not in others], first)
            stages = tuple(stage for stage in found.stages if not isinstance(stage[0], Settle))
            return found._replace(stages=stages)

        return Intent("mend", wish, plan)

    def restart(self, environment: Environment) -> Intent:
        """All instances, in place."""
        return Intent("restart", self._steady(environment), lambda wish, members, _: plan_restart(wish, members))

    def rebuild(self, environment: Environment) -> Intent:
        """Everything anew."""
        return Intent("rebuild", self._steady(environment), plan_rebuild)

    def terminate(self, environment: Environment, *, volumes: bool) -> Intent:
        """Nothing of it runs."""
        wish = self._wish(environment)._replace(volumes=volumes)
        return Intent("terminate", wish, lambda wish, members, _: plan_termination(wish, members), "Terminating")

    def swap(self, one: Environment, other: Environment) -> Intent:
        """Each has the other's host."""
        for environment in (one, other):
            self._steady(environment)
        wish = self._wish(one)._replace(
            hosts=((one.name, other.host), (other.name, one.host)),
            before_hosts=((one.name, one.host), (other.name, other.host)),
            undoes=True,
        )
        return Intent("swap", wish, lambda wish, _members, _first: plan_swap(wish))
