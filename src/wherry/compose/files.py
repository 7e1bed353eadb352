"""Secrets and configs of a service as files that its containers see: where they come from. Reads nothing.

`secret_environment` of a service, which deployments write and Compose files cannot, is variables that are secrets.
"""

from __future__ import annotations

from wherry.base.errors import InvalidInput, Unsupported
from wherry.compose.engine import FileWish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.compose.model import Project, Service

__all__ = ["file_wishes"]


def file_wishes(project: Project, service: Service) -> tuple[FileWish, ...]:
    """The files of one container. Raises InvalidInput for a variable that is not set."""
    wishes = [_wish(project, project.secrets[one["source"]], one) for one in service.get("secrets", ())]
    wishes += [_wish(project, project.configs[one["source"]], one) for one in service.get("configs", ())]
    variables = service.get("secret_environment", {})
    if variables:
        content = "".join(f"{name}={value}\0" for name, value in variables.items())
        wishes.append(FileWish("", content=content, mode=0o400))
    return tuple(wishes)


def _wish(project: Project, source: dict[str, Any], use: dict[str, Any]) -> FileWish:
    name = use["source"]
    if source.get("external") or source.get("driver"):
        raise Unsupported(f"{name}: external secrets and configs are not supported", hint="give a file or a variable")
    mode = int(use.get("mode", "0444"), 8)
    uid, gid = int(use.get("uid", "0")), int(use.get("gid", "0"))
    if source.get("file"):
        return FileWish(use["target"], source=source["file"])
    if source.get("environment"):
        content = project.environment.get(source["environment"])
        if content is None:
            variable = source["environment"]
            raise InvalidInput(f'environment variable "{variable}" required by "{name}" is not set')
        return FileWish(use["target"], content=content, mode=mode, uid=uid, gid=gid)
    return FileWish(use["target"], content=source.get("content", ""), mode=mode, uid=uid, gid=gid)
