"""What operations say of themselves, as events: who replaces what, what came of it, and what holds now."""

from __future__ import annotations

from collections import Counter

from wherry.base.clock import duration_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wherry.deploy.journal import Operation
    from wherry.deploy.model import Instance
    from wherry.deploy.records import Records

__all__ = ["began", "ended", "outcome", "settings_changed", "turned"]

_TENTH = 100_000_000  # nanoseconds
_NOUNS = {
    "create": "Launch",
    "deploy": "Deployment",
    "configuration": "Configuration change",
    "rollback": "Rollback",
    "scale": "Change of size",
    "mend": "Replacement",
    "restart": "Restart",
    "rebuild": "Rebuild",
    "swap": "Swap",
    "terminate": "Termination",
    "restore": "Restoration",
}


def _noun(operation: Operation) -> str:
    number = operation.wish.deployment
    if operation.kind == "deploy":
        return f"Deployment {number}"
    return f"{_NOUNS[operation.kind]} (deployment {number})" if number else _NOUNS[operation.kind]


def _subject(operation: Operation) -> str:
    """What it is, of a deployment with its version and the one before it, to go on with a verb."""
    wish, what = operation.wish, _noun(operation)
    if not wish.deployment:
        return what
    if operation.kind == "configuration" or not wish.before_version:
        return f"{what} of version {wish.version}"
    return f"{what} of version {wish.version}, in place of {wish.before_version},"


def _instances(count: int) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"


def _state(records: Records, operation: Operation) -> str:
    """What the environment is now, as a sentence."""
    found = records.environment(operation.environment)
    if found.terminated:
        return "Nothing of it runs."
    serving = [one for one in records.instances(operation.environment) if one.serves]
    if not serving:
        return "No version runs."
    versions = list(dict.fromkeys(one.version for one in serving))
    if len(versions) == 1:
        return f"Version {versions[0]} runs on {_instances(len(serving))}{_revisions(serving)}."
    counts = (f"version {one} on {_instances(sum(row.version == one for row in serving))}" for one in versions)
    return f"There run {' and '.join(counts)}."


def _revisions(serving: Sequence[Instance]) -> str:
    """How many instances have the variables of which deployment, where that is not one and the same; else empty."""
    counts = Counter(one.revision for one in serving)
    if len(counts) == 1:
        return ""
    return ": " + ", ".join(f"on {count} as of deployment {number}" for number, count in sorted(counts.items()))


def began(operation: Operation) -> tuple[str, str]:
    """Severity and sentence."""
    wish, what = operation.wish, _noun(operation)
    by = f"begun by {operation.who}" if operation.who else "begun"
    if operation.kind in ("deploy", "rollback", "create", "restore"):
        instead = f", in place of {wish.before_version}" if wish.before_version else ""
        how = f", {wish.policy}" if wish.before_version else ""
        return "INFO", f"{what} of version {wish.version}{instead}{how}, {by}."
    if operation.kind == "configuration":
        return "INFO", f"{what} of version {wish.version}, {wish.policy}, {by}."
    if operation.kind == "scale":
        return "INFO", f"{what} from {wish.before_size} to {_instances(wish.size)}, {by}."
    if operation.kind == "swap":
        hosts = " and ".join(f"{name} gets {host}" for name, host in wish.hosts)
        return "INFO", f"{what}: {hosts}, {by}."
    return "INFO", f"{what} {by}."


def turned(operation: Operation) -> tuple[str, str]:
    """Severity and sentence."""
    aim = f" Version {operation.wish.before_version} is brought back." if operation.wish.before_version else ""
    return "WARN", f"{_subject(operation)} is taken back: {operation.cause}.{aim}"


def ended(records: Records, operation: Operation) -> tuple[str, str]:
    """Severity and sentence."""
    return "INFO" if operation.state == "done" else "ERROR", outcome(records, operation)


def outcome(records: Records, operation: Operation) -> str:
    """The truth about how it ended, and what holds now."""
    took = duration_text((operation.ended - operation.started) // _TENTH * _TENTH)
    what, now = _subject(operation), _state(records, operation)
    if operation.state == "done":
        return f"{what} succeeded in {took}. {now}"
    if operation.state == "undone":
        verb = "was aborted" if operation.abort_by else "failed"
        return f"{what} {verb} and was taken back: {operation.cause}. {now}"
    return f"{what} failed: {operation.cause}. {now}"


def settings_changed(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What became of the settings that are not as before, to stand in a sentence; empty where all are."""
    from wherry.deploy.settings import SETTINGS

    said = []
    for name in sorted({*before, *after}):
        if name in after and before.get(name) != after[name]:
            said.append(f"{name}={after[name]}")
        elif name not in after:
            default = SETTINGS[name].default if name in SETTINGS else ""
            said.append(f"{name} is back to {default}" if default else f"{name} is not set any more")
    return ", ".join(said)
