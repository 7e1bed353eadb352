"""The process of one `exec`, from the container's configuration and the wishes of the call. Reads only user files."""

from __future__ import annotations

from wherry.engine.configuration import merge_environment
from wherry.engine.specification import rlimits_of
from wherry.kernel import capabilities
from wherry.oci.runtime_spec import SpecRequest, build_process
from wherry.runtime.users import resolve_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.engine.configuration import Configuration
    from wherry.engine.request import ContainerRequest, ExecRequest

__all__ = ["exec_process"]


def exec_process(
    container: ContainerRequest, config: Configuration, request: ExecRequest, rootfs: str
) -> dict[str, Any]:
    """The runtime's process description. Raises InvalidInput for a user that the container does not have."""
    user = resolve_user(rootfs, request.user or config.user, container.group_add)
    base = merge_environment(config.environment, ("TERM=xterm",) if request.tty else ())
    environment = merge_environment(base, request.environment)
    if not any(entry.startswith("HOME=") for entry in environment):
        environment = (*environment, f"HOME={user.home}")
    granted, _ = capabilities.resolve(
        container.cap_add,
        container.cap_drop,
        privileged=container.privileged or request.privileged,
        available=capabilities.held(),
    )
    return build_process(
        SpecRequest(
            args=request.command,
            env=environment,
            cwd=request.working_dir or config.working_dir,
            rootfs=rootfs,
            cgroup_path="",
            namespaces={},
            uid=user.uid,
            gid=user.gid,
            groups=user.groups,
            terminal=request.tty,
            capabilities=granted,
            no_new_privileges="no-new-privileges" in container.security_opt,
            rlimits=rlimits_of(container.limits),
        )
    )
