"""Environments, as whoever runs them sees them: what there is, and what may be done to it.

One operation at a time for each environment, under a lock that ends with its holder; different environments go on at
once. Whoever comes next to an operation that was cut off ends it or takes it back before doing anything else.
"""

from __future__ import annotations

from contextlib import contextmanager

from wherry.base.errors import Conflict, InvalidInput, NotFound, OperationFailed
from wherry.base.progress import Warned, nobody
from wherry.base.values import NamedTuple
from wherry.deploy.exclusion import Exclusion
from wherry.deploy.extension import parse_extension
from wherry.deploy.intents import Intent, Intents
from wherry.deploy.model import Deployment, Environment, check_name
from wherry.deploy.operations import Operations
from wherry.deploy.plan import plan_swap
from wherry.deploy.retreat import cannot_be_aborted
from wherry.deploy.sections import hosts_of
from wherry.deploy.settings import Settings, check_settings
from wherry.deploy.status import take_status, url_of
from wherry.deploy.steps import sentences
from wherry.deploy.telling import outcome as told
from wherry.deploy.telling import settings_changed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from wherry.base.progress import Sink
    from wherry.deploy.extension import Extension
    from wherry.deploy.journal import Operation
    from wherry.deploy.model import Version
    from wherry.deploy.parts import Parts
    from wherry.deploy.status import Status
    from wherry.deploy.target import Secret

__all__ = ["Environments", "Outcome"]


class Outcome(NamedTuple):
    """What an operation came to. `plan` are sentences; with a dry run there is nothing else.

    `operation` is None where nothing had to be done; `said` is the sentence that tells how it ended.
    """

    environment: str
    plan: tuple[str, ...]
    operation: Operation | None = None
    deployment: Deployment | None = None
    said: str = ""


class Environments:
    """The environments of one installation, for `who`. Operations block until they have ended.

    Where an operation is under way, the next one waits for its end, or raises Conflict without `wait`. One that fails
    raises OperationFailed, after everything is written down and, where it was to be, taken back.
    """

    def __init__(self, parts: Parts, who: str, progress: Sink = nobody, *, wait: bool = True) -> None:
        self._parts = parts
        self._records = parts.records
        self._who = who
        self._progress = progress
        self._exclusion = Exclusion(parts, progress, wait=wait)
        self._operations = Operations(parts, progress)
        self._intents = Intents(parts, self._operations.membership)

    # --- what there is

    def get(self, name: str) -> Environment:
        """Raises NotFound."""
        return self._records.environment(name)

    def all(self, application: str = "", *, terminated: bool = False) -> list[Environment]:
        """By name; those that are terminated only where `terminated`."""
        return self._records.environments(application, terminated=terminated)

    def extension(self, environment: Environment) -> Extension:
        """What the version that runs says about being deployed. Raises NotFound where none runs."""
        return self._operations.membership.extension_of(environment.name, environment.revision)

    def url(self, environment: Environment) -> str:
        """Where it answers."""
        return url_of(self._parts, environment)

    def status(self, name: str) -> Status:
        """All of it. Raises NotFound."""
        return take_status(self._parts, name, is_held=self._exclusion.is_held)

    # --- operations on what instances are made of

    def create(
        self,
        name: str,
        application: str,
        version: str | Version,
        *,
        host: str = "",
        settings: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        secrets: Sequence[Secret] = (),
        message: str = "",
        dry_run: bool = False,
    ) -> Outcome:
        """A new environment that runs a version. Raises Conflict where name or host are taken.

        A version that is not written down (`Applications.draft_version`) is for a dry run alone.
        """
        check_name("environment", name)
        given = Settings({}).with_changes(check_settings(settings or {}))
        host = (host or f"{name}.localhost").lower()
        new = Environment(
            name, application, host, self._parts.clock(), settings=given.given, size=max(1, given.count("min"))
        )
        found = self._version(application, version)
        self._check_tls(new, parse_extension(found.model))
        if dry_run:
            self._records.check_host(host)
            intent = self._intents.launch(new, found, variables or {}, secrets, message, kind="create")
            return Outcome(name, tuple(sentences(intent.plan(intent.wish._replace(revision=1), [], 1).stages)))
        with self._held(name):
            intent = self._intents.launch(new, found, variables or {}, secrets, message, kind="create")
            return self._begin(name, intent, first=lambda: self._records.add_environment(new))

    def deploy(
        self,
        name: str,
        version: str | Version,
        *,
        policy: str = "",
        batch: str = "",
        message: str = "",
        replace_accessories: bool = False,
        anew: bool = True,
        dry_run: bool = False,
    ) -> Outcome:
        """Replace what runs by a version. Raises NotFound where there is no such version.

        Without `anew`, nothing is done where it is that version which runs, on every instance. A version that is not
        written down (`Applications.draft_version`) is for a dry run alone.
        """
        said = ""

        def intend(environment: Environment) -> Intent | None:
            nonlocal said
            found = self._version(environment.application, version)
            if not anew and not replace_accessories and self._intents.runs(environment, found.label):
                said = f"Version {found.label} runs on {name} already: nothing had to be done."
                return None
            return self._intents.deploy(environment, found, policy, batch, message, replace=replace_accessories)

        outcome = self._operate(name, intend, dry_run=dry_run)
        return outcome._replace(said=said) if said else outcome

    def _version(self, application: str, version: str | Version) -> Version:
        return self._records.version(application, version) if isinstance(version, str) else version

    def rollback(self, name: str, *, to: int = 0, message: str = "", dry_run: bool = False) -> Outcome:
        """Back to what ran before the last deployment that succeeded, or to what deployment `to` made of it."""
        return self._operate(name, lambda one: self._intents.rollback(one, to, message), dry_run=dry_run)

    def configure(
        self,
        name: str,
        *,
        settings: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        secrets: Sequence[Secret] = (),
        removed: Iterable[str] = (),
        message: str = "",
        dry_run: bool = False,
    ) -> Outcome:
        """Change settings, which hold at once, and variables and secrets, which deploy the current version anew.

        `removed` are variables and secrets. A setting with an empty value goes back to its default. Raises NotFound and
        InvalidInput for settings, NotFound for what is to be removed and is not there.
        """
        changes = check_settings(settings or {})
        gone, said = tuple(removed), ""

        def intend(environment: Environment) -> Intent | None:
            nonlocal said
            given = Settings(environment.settings).with_changes(changes)
            changed = environment._replace(settings=given.given)
            if {"tls", "redirect"} & set(changes) and environment.revision:
                self._check_tls(changed, self._operations.membership.extension_of(name, environment.revision))
            size, intent = given.clamped(environment.size), None
            if variables or secrets or gone:
                resized = changed._replace(size=size)
                intent = self._intents.reconfigure(resized, variables or {}, secrets, gone, message)
            if intent is None and environment.revision and size != environment.size:
                intent = self._intents.scale(changed, size)
            said = settings_changed(environment.settings, given.given)
            if said and not dry_run:
                self._records.change_environment(name, settings=given.given)
                self._operations.membership.hold(name)
                self._records.tell(name, "INFO", f"Settings changed by {self._who or 'somebody'}: {said}.")
            return intent

        outcome = self._operate(name, intend, dry_run=dry_run)
        if said and dry_run:
            return outcome._replace(plan=(f"At once: {said}.", *outcome.plan))
        return outcome if outcome.said or not said else outcome._replace(said=f"Settings of {name} changed: {said}.")

    def _check_tls(self, environment: Environment, extension: Extension) -> None:
        from wherry.deploy.tls import check_tls

        hosts, now = hosts_of(environment, extension), self._parts.clock() / 1e9
        for warning in check_tls(self._parts.layout, environment, hosts, self._parts.listener, now):
            self._progress(Warned(warning))

    # --- operations on instances

    def scale(self, name: str, size: int, *, dry_run: bool = False) -> Outcome:
        """Have so many instances. Raises InvalidInput where the settings min and max are against it."""

        def intend(environment: Environment) -> Intent | None:
            given = Settings(environment.settings)
            if not given.count("min") <= size <= given.count("max"):
                raise InvalidInput(
                    f"a size of {size} is not between min={given.text('min')} and max={given.text('max')} of {name}",
                    hint=f"change that: `wherry env set {name} min=… max=…`",
                )
            return self._intents.scale(environment, size)

        return self._operate(name, intend, dry_run=dry_run)

    def mend(self, name: str, dead: Mapping[str, str], *, dry_run: bool = False) -> Outcome:
        """Replace instances that are dead (each with why), and what is missing of the wanted size."""

        return self._operate(name, lambda one: self._intents.mend(one, dead), dry_run=dry_run, dead=dead)

    def restart(self, name: str, *, dry_run: bool = False) -> Outcome:
        """Restart all instances in place, a batch after the other."""
        return self._operate(name, self._intents.restart, dry_run=dry_run)

    def rebuild(self, name: str, *, dry_run: bool = False) -> Outcome:
        """Everything anew, accessories included; volumes stay. Nothing answers meanwhile."""
        return self._operate(name, self._intents.rebuild, dry_run=dry_run)

    # --- operations on environments

    def swap(self, one: str, other: str, *, dry_run: bool = False) -> Outcome:
        """Let two environments exchange their hosts in one moment."""
        if one == other:
            raise InvalidInput(f"{one} cannot be swapped with itself")
        if dry_run:
            return Outcome(
                one, tuple(sentences(plan_swap(self._intents.swap(self.get(one), self.get(other)).wish).stages))
            )
        with self._held(one, other):
            intent = self._intents.swap(self._alive(one), self._alive(other))
            return self._begin(one, intent)

    def terminate(self, name: str, *, volumes: bool = False, dry_run: bool = False) -> Outcome:
        """Take it all away but its history, and its volumes unless `volumes`."""
        if not dry_run:
            self.get(name)
            with self._exclusion.hold(name):
                pending = self._records.journal.pending(name)
                if pending is not None and not cannot_be_aborted(pending):  # cut off: nobody waits for what goes anyway
                    self._records.journal.ask_abort(name, self._who or "somebody")
        return self._operate(name, lambda one: self._intents.terminate(one, volumes=volumes), dry_run=dry_run)

    def restore(self, name: str) -> Outcome:
        """Bring a terminated one back with what it ran last. Raises Conflict where it is not terminated."""
        with self._held(name):
            environment = self.get(name)
            if not environment.terminated:
                raise Conflict(f"environment {name} is not terminated")
            self._records.check_host(environment.host)
            intent = self._intents.restore(environment)
            return self._begin(
                name, intent, first=lambda: self._records.change_environment(name, terminated=0, revision=0)
            )

    def clone(self, name: str, new: str, *, host: str = "", version: str = "", dry_run: bool = False) -> Outcome:
        """A new environment with the settings, variables, secrets and (unless said otherwise) version of another."""
        source = self.get(name)
        revision = self._intents.base(source)
        secrets = self._records.secrets(name, revision)
        found = self._records.revision(name, revision)
        return self.create(
            new,
            source.application,
            version or found.version,
            host=host,
            settings=source.settings,
            variables=found.variables,
            secrets=secrets,
            message=f"clone of {name}",
            dry_run=dry_run,
        )

    def purge(self, name: str) -> None:
        """Forget a terminated one, with its history, logs and backups. Raises Conflict where it is not terminated."""
        from wherry.base.files import remove_tree

        with self._held(name):
            if not self.get(name).terminated:
                raise Conflict(f"environment {name} is not terminated", hint=f"`wherry env terminate {name}` does that")
            remove_tree(f"{self._parts.layout.root}/environments/{name}")
            self._records.remove_environment(name)

    # --- ends of operations

    def abort(self, name: str) -> Operation | None:
        """Ask for the end of what is under way: whoever carries it out takes it back, this call where nobody does.

        The operation as it then is, None where none is under way. Raises Conflict for one that cannot be aborted.
        """
        self.get(name)
        pending = self._records.journal.pending(name)
        if pending is not None and cannot_be_aborted(pending):
            raise Conflict(f"a {pending.kind} is always carried out to its end")
        if pending is None or self._records.journal.ask_abort(name, self._who or "somebody") is None:
            return None
        self.recover(name)
        return self._records.journal.operation(pending.id)

    def recover(self, name: str) -> Operation | None:
        """End or take back an operation that was cut off; it as it then is, None where there was none.

        What some process works on is left alone.
        """
        if self._records.journal.pending(name) is None:
            return None
        with self._exclusion.hold_if_free(name) as held:
            pending = self._records.journal.pending(name) if held else None
            return self._operations.resume(pending) if pending else None

    def revive(self, name: str) -> list[str]:
        """Bring back what stands still, as after a reboot, and end or take back what was cut off; what was done.

        What some process works on is left alone. Raises NotFound, and WherryError where the balancer cannot be had.
        """
        self.get(name)
        with self._exclusion.hold_if_free(name) as held:
            if not held:
                return []
            said = self._operations.revive(name)
            pending = self._records.journal.pending(name)
            if pending is not None:
                said.append(told(self._records, self._operations.resume(pending)))
            return said

    # --- how operations are done

    def _operate(
        self,
        name: str,
        intend: Callable[[Environment], Intent | None],
        *,
        dry_run: bool,
        dead: Iterable[str] = (),
    ) -> Outcome:
        if dry_run:
            return self._rehearse(name, intend(self._alive(name)), dead)
        with self._held(name):
            intent = intend(self._alive(name))
            return self._begin(name, intent, dead) if intent else Outcome(name, ())

    def _rehearse(self, name: str, intent: Intent | None, dead: Iterable[str]) -> Outcome:
        if intent is None:
            return Outcome(name, ())
        members = self._operations.membership.members(name, set(dead))
        number = self._records.history.next_number(name) if intent.revision else intent.wish.revision
        plan = intent.plan(intent.wish._replace(revision=number), members, self._records.last_number(name) + 1)
        return Outcome(name, tuple(sentences(plan.stages)))

    def _begin(
        self, name: str, intent: Intent, dead: Iterable[str] = (), first: Callable[[], None] = lambda: None
    ) -> Outcome:
        """Write the operation down with all that belongs to it, beginning with `first`, and carry it out.

        The lock is held.
        """
        records, wish = self._records, intent.wish
        members = self._operations.membership.members(name, set(dead))
        with records.database.write():
            first()
            if intent.revision is not None:
                number = records.history.next_number(name)
                wish = wish._replace(revision=number, deployment=number)
                records.add_revision(intent.revision._replace(number=number), intent.secrets)
                records.history.begin(self._deployment(intent, number))
            plan = intent.plan(wish, members, records.last_number(name) + 1)
            records.number_instances(name, plan.started)
            records.change_environment(name, status=intent.status)
            operation = records.journal.begin(name, intent.kind, self._who, wish, plan.stages)
        return self._finished(self._operations.begin(operation), plan.stages)

    def _deployment(self, intent: Intent, number: int) -> Deployment:
        wish = intent.wish
        assert intent.revision is not None
        return Deployment(
            intent.revision.environment,
            number,
            {"create": "deploy", "restore": "deploy"}.get(intent.kind, intent.kind),
            self._who,
            self._parts.clock(),
            wish.before,
            number,
            wish.before_version,
            wish.version,
            wish.policy,
            intent.message,
        )

    def _finished(self, operation: Operation, stages: Sequence[tuple[object, ...]]) -> Outcome:
        said = told(self._records, operation)
        if operation.state != "done":
            raise OperationFailed(said, hint=f"what happened: `wherry env events {operation.environment}`")
        number = operation.wish.deployment
        deployment = self._records.history.deployment(operation.environment, number) if number else None
        return Outcome(operation.environment, tuple(sentences(stages)), operation, deployment, said)  # type: ignore[arg-type]

    def _alive(self, name: str) -> Environment:
        environment = self.get(name)
        if environment.terminated:
            raise NotFound(f"environment {name} is terminated", hint=f"`wherry env restore {name}` brings it back")
        return environment

    @contextmanager
    def _held(self, *names: str) -> Iterator[None]:
        """The environments' locks, once whatever was cut off there has been ended."""
        with self._exclusion.hold(*names) as held:
            for name in held:
                pending = self._records.journal.pending(name)
                if pending is not None:
                    self._operations.resume(pending)
            yield
