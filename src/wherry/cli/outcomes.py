"""What an operation on an environment came to, for `--format`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wherry.deploy.environments import Outcome
    from wherry.deploy.history import History
    from wherry.deploy.journal import Journal, Operation, StepRecord

__all__ = ["failure_figures", "outcome_figures", "step_rows"]


def outcome_figures(outcome: Outcome, history: History, journal: Journal) -> dict[str, Any]:
    """Of one that succeeded, of one that had nothing to do (`State` is empty), or of a dry run (a plan only)."""
    operation = outcome.operation
    found = _operation_figures(operation, history, journal) if operation else _nothing(outcome.environment)
    return {**found, "Plan": list(outcome.plan), "Said": outcome.said}


def failure_figures(environment: str, said: str, history: History, journal: Journal) -> dict[str, Any]:
    """Of the environment's last operation, which failed."""
    found = journal.operations(environment)[:1]
    figures = _operation_figures(found[0], history, journal) if found else _nothing(environment)
    return {**figures, "Plan": [], "Said": said}


def _operation_figures(operation: Operation, history: History, journal: Journal) -> dict[str, Any]:
    """How far it came. `Result` is the deployment's, or of what is none: succeeded, failed, broken or under way."""
    wish = operation.wish
    deployment = history.deployment(operation.environment, wish.deployment) if wish.deployment else None
    results = {"done": "succeeded", "undone": "failed", "broken": "broken"}
    return {
        **_nothing(operation.environment),
        "Operation": operation.kind,
        "State": operation.state,
        "Who": operation.who,
        "Deployment": wish.deployment,
        "From": wish.before_version,
        "To": wish.version,
        "Policy": deployment.policy if deployment else "",
        "Result": (deployment.result if deployment else "") or results.get(operation.state, "under way"),
        "Cause": operation.cause,
        "Seconds": f"{(operation.ended - operation.started) / 1e9:.1f}" if operation.ended else "",
        "Steps": step_rows(journal.steps(operation)),
    }


def step_rows(steps: Iterable[StepRecord]) -> list[dict[str, str]]:
    """Each step with how far it is, and why it failed."""
    return [{"Step": one.step.describe(), "State": one.state, "Error": one.error} for one in steps]


def _nothing(environment: str) -> dict[str, Any]:
    words = ("Operation", "State", "Who", "From", "To", "Policy", "Result", "Cause", "Seconds")
    return {"Environment": environment, **dict.fromkeys(words, ""), "Deployment": 0, "Steps": []}
