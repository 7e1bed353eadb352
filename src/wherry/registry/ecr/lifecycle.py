"""Lifecycle policies: which images of a repository expire (pure).

Every rule looks at the images as if none had expired yet; then rules act in the order of their priority. An image that
a rule's tagging requirements fit is out of reach of every rule of lower priority (Amazon ECR user guide, lifecycle
policies, "evaluation rules").
"""

from __future__ import annotations

import json

from wherry.base.errors import InvalidInput
from wherry.base.values import NamedTuple
from wherry.registry.globs import fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

__all__ = ["Candidate", "Expiry", "Rule", "expired", "parse_lifecycle"]

_DAY = 86_400 * 1_000_000_000


class Rule(NamedTuple):
    """One rule. `patterns` are globs with `*`, each of which has to fit a tag; `number` counts images, or days."""

    priority: int
    description: str
    tag_status: str  # tagged | untagged | any
    patterns: tuple[str, ...]
    by_age: bool
    number: int


class Candidate(NamedTuple):
    """An image as the rules see it; `pushed` in nanoseconds since the epoch."""

    digest: str
    tags: tuple[str, ...]
    pushed: int


class Expiry(NamedTuple):
    """An image that expires, and the priority of the rule that says so."""

    image: Candidate
    priority: int


def expired(rules: Iterable[Rule], images: Sequence[Candidate], now: int) -> list[Expiry]:
    """What expires, in the order of rules, the newest image first."""
    newest_first = sorted(images, key=lambda image: (-image.pushed, image.digest))
    settled: set[str] = set()
    found: list[Expiry] = []
    for rule in sorted(rules):
        fitting = [image for image in newest_first if _fits(rule, image)]
        old = (
            [image for image in fitting if image.pushed < now - rule.number * _DAY]
            if rule.by_age
            else fitting[rule.number :]
        )
        found += [Expiry(image, rule.priority) for image in old if image.digest not in settled]
        settled |= {image.digest for image in fitting}
    return found


def _fits(rule: Rule, image: Candidate) -> bool:
    if rule.tag_status == "any":
        return True
    if rule.tag_status == "untagged":
        return not image.tags
    return bool(image.tags) and all(any(fits(pattern, tag) for tag in image.tags) for pattern in rule.patterns)


def parse_lifecycle(text: str) -> tuple[Rule, ...]:
    """Raises InvalidInput, saying which rule is wrong and why."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the lifecycle policy is not JSON: {error}") from None
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not 1 <= len(rules) <= 50:
        raise InvalidInput("the lifecycle policy needs a list of 1 to 50 rules")
    found = tuple(_rule(value, number) for number, value in enumerate(rules, 1))
    priorities = [rule.priority for rule in found]
    if len(set(priorities)) < len(priorities):
        raise InvalidInput("two rules of the lifecycle policy have the same rulePriority")
    catch_all = [rule.priority for rule in found if rule.tag_status == "any"]
    if len(catch_all) > 1 or (catch_all and catch_all[0] != max(priorities)):
        raise InvalidInput("a rule for any image has to be the only one, and the last by rulePriority")
    return found


def _rule(value: Any, number: int) -> Rule:
    where = f"rule {number} of the lifecycle policy"
    if not isinstance(value, dict) or not isinstance(value.get("selection"), dict):
        raise InvalidInput(f"{where} needs a selection")
    priority, selection = value.get("rulePriority"), value["selection"]
    if not isinstance(priority, int) or isinstance(priority, bool) or not 1 <= priority <= 999:
        raise InvalidInput(f"{where} needs a rulePriority from 1 to 999")
    if value.get("action") != {"type": "expire"}:
        raise InvalidInput(f'{where}: the action is {{"type": "expire"}}')
    status = selection.get("tagStatus")
    if status not in ("tagged", "untagged", "any"):
        raise InvalidInput(f"{where}: tagStatus is tagged, untagged or any")
    by_age, count = _count(selection, where)
    return Rule(priority, str(value.get("description", "")), status, _patterns(selection, status, where), by_age, count)


def _patterns(selection: dict[str, Any], status: str, where: str) -> tuple[str, ...]:
    prefixes, patterns = selection.get("tagPrefixList"), selection.get("tagPatternList")
    if status != "tagged":
        if prefixes or patterns:
            raise InvalidInput(f"{where}: only a rule for tagged images has tagPrefixList or tagPatternList")
        return ()
    given = prefixes if prefixes is not None else patterns
    if (prefixes is None) == (patterns is None) or not isinstance(given, list) or not given:
        raise InvalidInput(f"{where}: a rule for tagged images needs tagPrefixList or tagPatternList")
    if not all(isinstance(each, str) and each for each in given):
        raise InvalidInput(f"{where}: tags are texts")
    return tuple(f"{each}*" for each in given) if prefixes is not None else tuple(given)


def _count(selection: dict[str, Any], where: str) -> tuple[bool, int]:
    kind, count = selection.get("countType"), selection.get("countNumber")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InvalidInput(f"{where}: countNumber is a number from 1")
    if kind == "imageCountMoreThan":
        if "countUnit" in selection:
            raise InvalidInput(f"{where}: countUnit goes with sinceImagePushed")
        return False, count
    if kind == "sinceImagePushed":
        if selection.get("countUnit") != "days":
            raise InvalidInput(f"{where}: countUnit is days")
        return True, count
    raise InvalidInput(f"{where}: countType is imageCountMoreThan or sinceImagePushed")
