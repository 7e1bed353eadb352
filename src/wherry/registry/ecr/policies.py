"""ECR's actions on policies: who may use a repository, and how long its images stay."""

from __future__ import annotations

from wherry.registry.ecr.context import must_find, page, seconds
from wherry.registry.ecr.errors import EcrError
from wherry.registry.ecr.expiring import candidates
from wherry.registry.ecr.lifecycle import expired, parse_lifecycle
from wherry.registry.iam import parse_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from wherry.registry.access import Access
    from wherry.registry.catalog import Catalog
    from wherry.registry.ecr.context import Call
    from wherry.registry.metadata import Repository
    from wherry.registry.uploads import Uploads

__all__ = ["Policies"]

_PREVIEWS = 1000


class Policies:
    """Both kinds are kept as the text that was given. A preview is kept in memory, the last one of each repository."""

    def __init__(self, catalog: Catalog, uploads: Uploads, access: Access, clock: Callable[[], int]) -> None:
        self._catalog = catalog
        self._uploads = uploads
        self._account = access.settings.account
        self._clock = clock
        self._previews: dict[str, tuple[str, list[dict[str, Any]]]] = {}

    def actions(self) -> dict[str, Callable[[Call], Awaitable[dict[str, Any]]]]:
        """Each action's name and method."""
        return {
            "PutLifecyclePolicy": self.put_lifecycle,
            "GetLifecyclePolicy": self.get_lifecycle,
            "DeleteLifecyclePolicy": self.delete_lifecycle,
            "StartLifecyclePolicyPreview": self.start_preview,
            "GetLifecyclePolicyPreview": self.get_preview,
            "SetRepositoryPolicy": self.set_policy,
            "GetRepositoryPolicy": self.get_policy,
            "DeleteRepositoryPolicy": self.delete_policy,
        }

    def _find(self, call: Call) -> Repository:
        return must_find(self._catalog.reading, call.parameters["repositoryName"], self._account)

    def _common(self, call: Call) -> dict[str, Any]:
        return {"registryId": self._account, "repositoryName": call.parameters["repositoryName"]}

    async def put_lifecycle(self, call: Call) -> dict[str, Any]:
        """It is carried out within minutes, and then for good."""
        name, text = self._find(call).name, call.parameters["lifecyclePolicyText"]
        parse_lifecycle(text)
        await self._uploads.change(
            lambda db: db.execute(
                "UPDATE repositories SET lifecycle = ?, lifecycle_evaluated = 0 WHERE name = ?", (text, name)
            )
        )
        return {**self._common(call), "lifecyclePolicyText": text}

    async def get_lifecycle(self, call: Call) -> dict[str, Any]:
        """Raises LifecyclePolicyNotFoundException."""
        found = self._lifecycle(call)
        row = self._catalog.reading.execute(
            "SELECT lifecycle_evaluated FROM repositories WHERE name = ?", (found.name,)
        ).fetchone()
        evaluated = {"lastEvaluatedAt": seconds(row[0])} if row and row[0] else {}
        return {**self._common(call), "lifecyclePolicyText": found.lifecycle, **evaluated}

    async def delete_lifecycle(self, call: Call) -> dict[str, Any]:
        """Raises LifecyclePolicyNotFoundException."""
        found = self._lifecycle(call)
        await self._uploads.change(
            lambda db: db.execute("UPDATE repositories SET lifecycle = '' WHERE name = ?", (found.name,))
        )
        return {**self._common(call), "lifecyclePolicyText": found.lifecycle}

    def _lifecycle(self, call: Call) -> Repository:
        found = self._find(call)
        if not found.lifecycle:
            raise EcrError(
                "LifecyclePolicyNotFoundException",
                f"Lifecycle policy does not exist for the repository with name '{found.name}' in the registry with id"
                f" '{self._account}'",
            )
        return found

    async def start_preview(self, call: Call) -> dict[str, Any]:
        """What the policy that is given, or the repository's own, would expire now."""
        text = call.parameters.get("lifecyclePolicyText") or self._lifecycle(call).lifecycle
        name = self._find(call).name
        found = expired(parse_lifecycle(text), candidates(self._catalog.reading, name), self._clock())
        if len(self._previews) >= _PREVIEWS:
            self._previews.clear()
        self._previews[name] = (
            text,
            [
                {
                    "imageTags": list(each.image.tags),
                    "imageDigest": each.image.digest,
                    "imagePushedAt": seconds(each.image.pushed),
                    "action": {"type": "EXPIRE"},
                    "appliedRulePriority": each.priority,
                }
                for each in sorted(found, key=lambda each: each.image.digest)
            ],
        )
        return {**self._common(call), "lifecyclePolicyText": text, "status": "IN_PROGRESS"}

    async def get_preview(self, call: Call) -> dict[str, Any]:
        """Raises LifecyclePolicyPreviewNotFoundException."""
        name = self._find(call).name
        if name not in self._previews:
            raise EcrError(
                "LifecyclePolicyPreviewNotFoundException",
                f"Lifecycle policy preview does not exist for the repository with name '{name}' in the registry with"
                f" id '{self._account}'",
            )
        text, results = self._previews[name]
        status = (call.parameters.get("filter") or {}).get("tagStatus", "ANY")
        fitting = [each for each in results if status == "ANY" or bool(each["imageTags"]) == (status == "TAGGED")]
        if wanted := call.parameters.get("imageIds"):
            fitting = [each for each in fitting if any(_is(each, one) for one in wanted)]
        chosen, more = page(fitting, call, lambda each: str(each["imageDigest"]))
        return {
            **self._common(call),
            "lifecyclePolicyText": text,
            "status": "COMPLETE",
            "previewResults": chosen,
            "summary": {"expiringImageTotalCount": len(results)},
            **more,
        }

    async def set_policy(self, call: Call) -> dict[str, Any]:
        """It holds from the next request on."""
        name, text = self._find(call).name, call.parameters["policyText"]
        parse_policy(text, resource_policy=True)
        await self._uploads.change(
            lambda db: db.execute("UPDATE repositories SET policy = ? WHERE name = ?", (text, name))
        )
        return {**self._common(call), "policyText": text}

    async def get_policy(self, call: Call) -> dict[str, Any]:
        """Raises RepositoryPolicyNotFoundException."""
        return {**self._common(call), "policyText": self._policy(call).policy}

    async def delete_policy(self, call: Call) -> dict[str, Any]:
        """Raises RepositoryPolicyNotFoundException."""
        found = self._policy(call)
        await self._uploads.change(
            lambda db: db.execute("UPDATE repositories SET policy = '' WHERE name = ?", (found.name,))
        )
        return {**self._common(call), "policyText": found.policy}

    def _policy(self, call: Call) -> Repository:
        found = self._find(call)
        if not found.policy:
            raise EcrError(
                "RepositoryPolicyNotFoundException",
                f"Repository policy does not exist for the repository with name '{found.name}' in the registry with id"
                f" '{self._account}'",
            )
        return found


def _is(result: dict[str, Any], wanted: dict[str, str]) -> bool:
    digest, tag = wanted.get("imageDigest", result["imageDigest"]), wanted.get("imageTag")
    return bool(digest == result["imageDigest"] and (tag is None or tag in result["imageTags"]))
