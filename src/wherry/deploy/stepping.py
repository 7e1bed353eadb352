"""What each kind of step does. Doing a step again where it was cut off ends it, but for those in `steps.ONCE`."""

from __future__ import annotations

from wherry.base.errors import OperationFailed
from wherry.base.progress import Output, Warned, nobody
from wherry.base.values import NamedTuple
from wherry.deploy import steps
from wherry.deploy.admission import admit, watchful
from wherry.deploy.settings import Settings
from wherry.deploy.tail import Tail
from wherry.deploy.target import Release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.base.progress import Sink
    from wherry.deploy.journal import Operation
    from wherry.deploy.membership import Membership
    from wherry.deploy.parts import Parts

__all__ = ["Stepping"]


class Stepping(NamedTuple):
    """Does the steps of one operation. `look` is called while something is waited for, and raises to end the waiting.

    `tell` takes a severity, a sentence and an instance's name, for the events.
    """

    parts: Parts
    membership: Membership
    operation: Operation
    look: Callable[[], None]
    tell: Callable[..., None]
    progress: Sink

    def do(self, step: Any, task: str) -> None:
        """Do one step; what its program writes is output of `task`. Raises WherryError."""
        _DOING[type(step)](self, step, task)

    @property
    def _environment(self) -> str:
        return self.operation.environment

    @property
    def _settings(self) -> Settings:
        return Settings(self.parts.records.environment(self._environment).settings)

    # --- before instances

    def _ensure_balancer(self, step: steps.EnsureBalancer, task: str) -> None:
        del step, task
        self.parts.balancer.ensure()
        self.membership.hold(self._environment)

    def _ensure_accessories(self, step: steps.EnsureAccessories, task: str) -> None:
        del task
        wish = self.membership.accessory_wish(self._environment, step.revision)
        look = watchful(self.parts, self._environment, "", self.look)
        changed = self.parts.target.ensure_accessories(wish, nobody, replace=step.replace, anew=step.anew, look=look)
        if changed:
            which = f"accessory {changed[0]} differs" if len(changed) == 1 else f"accessories {_and(changed)} differ"
            words = (
                f"The {which} from what runs and was left as it is; `wherry deploy --replace-accessories` replaces it."
            )
            self.tell("WARN", words)
            self.progress(Warned(words))

    def _run_hooks(self, step: steps.RunHooks, task: str) -> None:
        from wherry.deploy.hooks import run_hooks

        wish = self.membership.instance_wish(self._environment, "hooks", step.revision)
        secrets = {one.name: one.value for one in wish.secrets if not one.file}
        about = {
            "WHERRY_ENVIRONMENT": self._environment,
            "WHERRY_VERSION": step.version,
            "WHERRY_DEPLOYMENT": str(self.operation.wish.deployment),
        }
        variables = {**wish.variables, **secrets, **about}
        directory = f"{self.parts.layout.root}/environments/{self._environment}/hooks"
        timeout = self._settings.number("timeout")
        run_hooks(wish.model, step.phase, variables, self._output(task), timeout, directory)

    def _run_release(self, step: steps.RunRelease, task: str) -> None:
        extension = self.membership.extension_of(self._environment, step.revision)
        said = extension.release
        assert said is not None
        wish = self.membership.instance_wish(self._environment, "release", step.revision)
        tail = Tail(self._output(task))
        code = self.parts.target.release(Release(wish, said.service, said.command, said.timeout), tail)
        if code:
            last = tail.last(1)
            raise OperationFailed(f"the release step ended with exit code {code}{': ' if last else ''}{last}")

    def _output(self, task: str) -> Callable[[bytes], None]:
        return lambda data: self.progress(Output(task, 1, data))

    # --- instances

    def _start(self, step: steps.Start, task: str) -> None:
        del task
        self.parts.records.add_instance(self._environment, step.instance, step.revision)
        wish = self.membership.instance_wish(self._environment, step.instance, step.revision)
        self.parts.target.start(wish, nobody, watchful(self.parts, self._environment, step.instance, self.look))

    def _check(self, step: steps.Check, task: str) -> None:
        del task
        admit(self.parts, self.membership, self._environment, step.instance, self.look)

    def _enter(self, step: steps.Enter, task: str) -> None:
        del task
        self.membership.enter(self._environment, step.weights)

    def _leave(self, step: steps.Leave, task: str) -> None:
        del task
        for name in self.membership.leave(self._environment, step.instances, self.look):
            self.tell("WARN", f"Requests of {name} were still under way after the draining time.", name)

    def _stop(self, step: steps.Stop, task: str) -> None:
        del task
        self.parts.target.stop(self._environment, step.instance, self._settings.optional("grace"), nobody)
        self.parts.records.remove_instance(self._environment, step.instance)

    def _restart(self, step: steps.Restart, task: str) -> None:
        del task
        self.parts.target.restart(self._environment, step.instance)

    def _evaluate(self, step: steps.Evaluate, task: str) -> None:
        from wherry.deploy.trial import watch

        del task
        watch(self.parts, self._environment, step, self.look)

    # --- the environment

    def _settle(self, step: steps.Settle, task: str) -> None:
        del task
        size = {"size": step.size} if step.revision else {}
        self.parts.records.change_environment(self._environment, revision=step.revision, **size)
        self.membership.hold(self._environment)

    def _exchange(self, step: steps.Exchange, task: str) -> None:
        del task
        records = self.parts.records
        with records.database.write():
            for name, host in step.hosts:
                records.change_environment(name, host=host)
        self.membership.hold(*(name for name, _ in step.hosts))

    def _forget(self, step: steps.Forget, task: str) -> None:
        del step, task
        self.parts.balancer.remove(self._environment)

    def _terminate(self, step: steps.Terminate, task: str) -> None:
        del task
        self.parts.target.terminate(self._environment, nobody, volumes=step.volumes)
        for one in self.parts.records.instances(self._environment):
            self.parts.records.remove_instance(self._environment, one.name)


def _and(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


_DOING: dict[type, Callable[[Stepping, Any, str], None]] = {
    steps.EnsureBalancer: Stepping._ensure_balancer,
    steps.EnsureAccessories: Stepping._ensure_accessories,
    steps.RunHooks: Stepping._run_hooks,
    steps.RunRelease: Stepping._run_release,
    steps.Start: Stepping._start,
    steps.Check: Stepping._check,
    steps.Enter: Stepping._enter,
    steps.Leave: Stepping._leave,
    steps.Stop: Stepping._stop,
    steps.Restart: Stepping._restart,
    steps.Evaluate: Stepping._evaluate,
    steps.Settle: Stepping._settle,
    steps.Exchange: Stepping._exchange,
    steps.Forget: Stepping._forget,
    steps.Terminate: Stepping._terminate,
}
