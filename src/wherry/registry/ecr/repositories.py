"""ECR's actions on repositories: create, describe, delete, mutability, scanning, tags, the registry itself."""

from __future__ import annotations

import json

from wherry.registry import metadata
from wherry.registry.ecr.context import must_find, page, seconds
from wherry.registry.ecr.errors import EcrError
from wherry.registry.names import check_repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable
    from typing import Any

    from wherry.registry.access import Access
    from wherry.registry.catalog import Catalog
    from wherry.registry.ecr.context import Call
    from wherry.registry.metadata import Repository
    from wherry.registry.uploads import Uploads

__all__ = ["Repositories"]


class Repositories:
    """A repository here is the distribution API's, with Amazon's attributes."""

    def __init__(self, catalog: Catalog, uploads: Uploads, access: Access, clock: Callable[[], int]) -> None:
        self._catalog = catalog
        self._uploads = uploads
        self._settings = access.settings
        self._clock = clock

    def actions(self) -> dict[str, Callable[[Call], Awaitable[dict[str, Any]]]]:
        """Each action's name and method."""
        return {
            "CreateRepository": self.create,
            "DescribeRepositories": self.describe,
            "DeleteRepository": self.delete,
            "PutImageTagMutability": self.put_mutability,
            "PutImageScanningConfiguration": self.put_scanning,
            "TagResource": self.tag,
            "UntagResource": self.untag,
            "ListTagsForResource": self.list_tags,
            "DescribeRegistry": self.describe_registry,
        }

    async def create(self, call: Call) -> dict[str, Any]:
        """Raises RepositoryAlreadyExistsException."""
        parameters = call.parameters
        name = check_repository(parameters["repositoryName"])
        encryption = parameters.get("encryptionConfiguration") or {}
        if encryption.get("encryptionType", "AES256") != "AES256":
            raise EcrError("InvalidParameterException", "only the encryption type AES256 is known here")
        immutable = _is_immutable(parameters)
        scan = bool((parameters.get("imageScanningConfiguration") or {}).get("scanOnPush"))
        labels = json.dumps({each["Key"]: each["Value"] for each in parameters.get("tags") or []})

        def insert(connection: sqlite3.Connection) -> None:
            if metadata.get_repository(connection, name) is not None:
                account = self._settings.account
                raise EcrError(
                    "RepositoryAlreadyExistsException",
                    f"The repository with name '{name}' already exists in the registry with id '{account}'",
                )
            connection.execute(
                "INSERT INTO repositories (name, created, immutable, scan_on_push, labels) VALUES (?, ?, ?, ?, ?)",
                (name, self._clock(), int(immutable), int(scan), labels),
            )

        await self._uploads.change(insert)
        return {"repository": self._describe(self._find(name), call)}

    async def describe(self, call: Call) -> dict[str, Any]:
        """All, or those that are named."""
        names = call.parameters.get("repositoryNames")
        if names:
            return {"repositories": [self._describe(self._find(name), call) for name in names]}
        chosen, more = page(metadata.repositories(self._catalog.reading), call, lambda each: each.name)
        return {"repositories": [self._describe(each, call) for each in chosen], **more}

    async def delete(self, call: Call) -> dict[str, Any]:
        """Raises RepositoryNotEmptyException without `force`."""
        name = call.parameters["repositoryName"]
        found = self._find(name)

        def remove(connection: sqlite3.Connection) -> None:
            holds = connection.execute("SELECT 1 FROM manifests WHERE repository = ? LIMIT 1", (name,)).fetchone()
            if holds and not call.parameters.get("force"):
                account = self._settings.account
                raise EcrError(
                    "RepositoryNotEmptyException",
                    f"The repository with name '{name}' in registry with id '{account}' cannot be deleted because it"
                    " still contains images",
                )
            metadata.delete_repository(connection, name)

        await self._uploads.change(remove)
        return {"repository": self._describe(found, call)}

    async def put_mutability(self, call: Call) -> dict[str, Any]:
        """MUTABLE or IMMUTABLE, for every push from now on."""
        immutable = _is_immutable(call.parameters)
        await self._update(call, "immutable", int(immutable))
        return {**self._common(call), "imageTagMutability": "IMMUTABLE" if immutable else "MUTABLE"}

    async def put_scanning(self, call: Call) -> dict[str, Any]:
        """Kept and shown; nothing is scanned here."""
        scan = bool((call.parameters.get("imageScanningConfiguration") or {}).get("scanOnPush"))
        await self._update(call, "scan_on_push", int(scan))
        return {**self._common(call), "imageScanningConfiguration": {"scanOnPush": scan}}

    async def _update(self, call: Call, column: str, value: object) -> None:
        name = call.parameters["repositoryName"]
        self._find(name)
        sql = f"UPDATE repositories SET {column} = ? WHERE name = ?"  # noqa: S608 (a name from this module)
        await self._uploads.change(lambda db: db.execute(sql, (value, name)))

    async def tag(self, call: Call) -> dict[str, Any]:
        """Add to the repository's own tags, which are labels and have nothing to do with images'."""
        added = {each["Key"]: each["Value"] for each in call.parameters["tags"]}
        return await self._relabel(call, lambda labels: labels | added)

    async def untag(self, call: Call) -> dict[str, Any]:
        """Take labels away."""
        keys = set(call.parameters["tagKeys"])
        return await self._relabel(call, lambda labels: {k: v for k, v in labels.items() if k not in keys})

    async def _relabel(self, call: Call, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, Any]:
        name = self._by_arn(call).name

        def relabel(connection: sqlite3.Connection) -> None:
            found = must_find(connection, name, self._settings.account)
            labels = json.dumps(change(json.loads(found.labels)))
            connection.execute("UPDATE repositories SET labels = ? WHERE name = ?", (labels, name))

        await self._uploads.change(relabel)
        return {}

    async def list_tags(self, call: Call) -> dict[str, Any]:
        """The repository's labels."""
        labels = json.loads(self._by_arn(call).labels)
        return {"tags": [{"Key": key, "Value": value} for key, value in sorted(labels.items())]}

    async def describe_registry(self, _: Call) -> dict[str, Any]:
        """This registry; it replicates to nowhere."""
        return {"registryId": self._settings.account, "replicationConfiguration": {"rules": []}}

    def _by_arn(self, call: Call) -> Repository:
        from wherry.registry.ecr.api import repository_of

        return self._find(repository_of(call.parameters["resourceArn"]))

    def _find(self, name: str) -> Repository:
        return must_find(self._catalog.reading, name, self._settings.account)

    def _common(self, call: Call) -> dict[str, Any]:
        return {"registryId": self._settings.account, "repositoryName": call.parameters["repositoryName"]}

    def _describe(self, repository: Repository, call: Call) -> dict[str, Any]:
        base = self._settings.public_url.partition("://")[2] or call.request.host
        return {
            "repositoryArn": self._settings.arn(repository.name),
            "registryId": self._settings.account,
            "repositoryName": repository.name,
            "repositoryUri": f"{base}/{repository.name}",
            "createdAt": seconds(repository.created),
            "imageTagMutability": "IMMUTABLE" if repository.immutable else "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        }


def _is_immutable(parameters: dict[str, Any]) -> bool:
    value = parameters.get("imageTagMutability", "MUTABLE")
    if value not in ("MUTABLE", "IMMUTABLE") or parameters.get("imageTagMutabilityExclusionFilters"):
        raise EcrError("InvalidParameterException", "imageTagMutability is MUTABLE or IMMUTABLE, without exclusions")
    return bool(value == "IMMUTABLE")
