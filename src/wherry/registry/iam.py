"""IAM policy documents as Amazon ECR's users write them: parsed strictly, evaluated by IAM's rules (pure).

Actions and resources may hold `*` and `?`; an explicit Deny wins over every Allow; what nothing allows is denied
(IAM User Guide, policy evaluation logic). A `Condition` is refused where the document is given, because one that is not
understood could let somebody in.
"""

from __future__ import annotations

import json

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.registry.globs import fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Statement", "allows", "denies", "parse_policy"]

_VERSIONS = ("2012-10-17", "2008-10-17")
_KNOWN = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"}


class Statement(NamedTuple):
    """One statement; `inverted_*` means everything but what is listed. `principals` is None in identity policies."""

    allow: bool
    actions: tuple[str, ...]
    inverted_actions: bool
    resources: tuple[str, ...]
    inverted_resources: bool
    principals: tuple[str, ...] | None

    def matches(self, action: str, resource: str, principal: str = "") -> bool:
        """Whether the statement speaks of it. Actions compare without case, resources with it."""
        on_action = any(fits(pattern.lower(), action.lower()) for pattern in self.actions)
        on_resource = any(fits(pattern, resource) for pattern in self.resources)
        for_principal = self.principals is None or any(fits(pattern, principal) for pattern in self.principals)
        return on_action != self.inverted_actions and on_resource != self.inverted_resources and for_principal


def parse_policy(text: str, *, resource_policy: bool = False) -> tuple[Statement, ...]:
    """A policy document; with `resource_policy` it has principals and its resource may be left out.

    Raises InvalidInput, saying what is wrong where.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the policy is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidInput("the policy is not a JSON object")
    if document.get("Version", _VERSIONS[1]) not in _VERSIONS:
        raise InvalidInput(f"the policy's Version is {document['Version']!r}", hint=f"write {_VERSIONS[0]!r}")
    statements = document.get("Statement")
    listed = statements if isinstance(statements, list) else [statements]
    return tuple(_statement(each, number, resource_policy) for number, each in enumerate(listed, 1))


def _statement(value: Any, number: int, resource_policy: bool) -> Statement:
    where = f"statement {number} of the policy"
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is not a JSON object")
    if value.get("Condition"):
        raise InvalidInput(f"{where} has a Condition, which is not supported", hint="write a policy without conditions")
    if unknown := set(value) - _KNOWN:
        raise InvalidInput(f"{where} has the unknown field {min(unknown)!r}")
    if value.get("Effect") not in ("Allow", "Deny"):
        raise InvalidInput(f"{where} needs Effect: Allow or Deny")
    actions, inverted_actions = _either(value, "Action", where)
    resources: tuple[str, ...] = ("*",)
    inverted_resources = False
    if not resource_policy or "Resource" in value or "NotResource" in value:
        resources, inverted_resources = _either(value, "Resource", where)
    principals = _principals(value, where) if resource_policy else None
    if not resource_policy and ("Principal" in value or "NotPrincipal" in value):
        raise InvalidInput(f"{where} has a Principal, which only a repository's policy may have")
    return Statement(value["Effect"] == "Allow", actions, inverted_actions, resources, inverted_resources, principals)


def _either(value: dict[str, Any], name: str, where: str) -> tuple[tuple[str, ...], bool]:
    if (name in value) == (f"Not{name}" in value):
        raise InvalidInput(f"{where} needs {name} or Not{name}")
    given = value.get(name, value.get(f"Not{name}"))
    listed = given if isinstance(given, list) else [given]
    if not listed or not all(isinstance(each, str) and each for each in listed):
        raise InvalidInput(f"{where}: {name} is a text or a list of texts")
    return tuple(listed), f"Not{name}" in value


def _principals(value: dict[str, Any], where: str) -> tuple[str, ...]:
    given = value.get("Principal")
    if given == "*":
        return ("*",)
    if not isinstance(given, dict) or set(given) - {"AWS"}:
        raise InvalidInput(f"{where} needs a Principal: '*' or {{'AWS': ...}}")
    listed = given["AWS"] if isinstance(given["AWS"], list) else [given["AWS"]]
    if not listed or not all(isinstance(each, str) and each for each in listed):
        raise InvalidInput(f"{where}: Principal is a text or a list of texts")
    # An account stands for everyone in it, by its number or by its root.
    return tuple(
        f"arn:aws:iam::{each}:*" if each.isdigit() else each.removesuffix(":root") + ":*" if _is_root(each) else each
        for each in listed
    )


def _is_root(principal: str) -> bool:
    return principal.startswith("arn:aws:iam::") and principal.endswith(":root")


def denies(statements: Iterable[Statement], action: str, resource: str, principal: str = "") -> bool:
    """Whether a Deny speaks of it."""
    return any(not each.allow and each.matches(action, resource, principal) for each in statements)


def allows(statements: Iterable[Statement], action: str, resource: str, principal: str = "") -> bool:
    """Whether an Allow speaks of it; a Deny is asked for with `denies`."""
    return any(each.allow and each.matches(action, resource, principal) for each in statements)
