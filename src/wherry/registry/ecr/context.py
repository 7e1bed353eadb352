"""One call of ECR's API, and what all actions do alike: finding the repository, turning pages."""

from __future__ import annotations

import base64
import binascii

from wherry.base.values import NamedTuple
from wherry.registry import metadata
from wherry.registry.ecr.errors import EcrError, repository_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from wherry.registry.accounts import AccessKey
    from wherry.registry.http import Request
    from wherry.registry.metadata import Repository

    T = TypeVar("T")

__all__ = ["Call", "must_find", "page", "seconds"]


class Call(NamedTuple):
    """One signed call: the action's name, its parameters as JSON values, who signed it."""

    action: str
    parameters: dict[str, Any]
    key: AccessKey
    request: Request


def must_find(connection: sqlite3.Connection, name: str, account: str) -> Repository:
    """Raises RepositoryNotFoundException."""
    found = metadata.get_repository(connection, name)
    if found is None:
        raise repository_not_found(name, account)
    return found


def page(items: Sequence[T], call: Call, key: Callable[[T], str], default: int = 100) -> tuple[list[T], dict[str, str]]:
    """The items of the page that the call asks for (`items` are in the order of `key`), and the next page's token."""
    limit = int(call.parameters.get("maxResults") or default)
    token = call.parameters.get("nextToken")
    if token:
        try:
            after = base64.b64decode(token, b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            raise EcrError("InvalidParameterException", "Invalid parameter: nextToken") from None
        items = [item for item in items if key(item) > after]
    chosen = list(items[:limit])
    if len(items) <= limit:
        return chosen, {}
    return chosen, {"nextToken": base64.urlsafe_b64encode(key(chosen[-1]).encode()).decode()}


def seconds(nanoseconds: int) -> float:
    """A time as AWS's JSON protocol writes it."""
    return nanoseconds / 1_000_000_000
