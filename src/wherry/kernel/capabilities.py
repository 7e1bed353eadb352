"""Linux capabilities: which a container asks for, and which this process can give (capabilities(7))."""

from __future__ import annotations

from wherry.base.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["ALL", "DEFAULT", "held", "resolve"]

ALL = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE"
        " NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT"
        " SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL"
        " SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)
"""By number: the name at index n is bit n of the kernel's masks."""

DEFAULT = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL"
        " AUDIT_WRITE"
    ).split()
)
"""What Docker gives a container that asks for nothing."""


def held() -> frozenset[str]:
    """What this process may pass on: its bounding set."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        mask = next((int(line[8:], 16) for line in status if line.startswith("CapBnd:")), 0)
    return frozenset(name for number, name in enumerate(ALL) if mask >> number & 1)


def resolve(
    add: Iterable[str], drop: Iterable[str], *, privileged: bool, available: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The capabilities of a container, and those among them that are not `available` and so were left out.

    `ALL` is understood on both sides; dropping wins over the default, adding over `drop ALL`, as with Docker. Raises
    InvalidInput for names that are no capability.
    """
    added, dropped = [_name(each) for each in add], [_name(each) for each in drop]
    if privileged:
        wanted = set(ALL)
    elif "ALL" in added:
        wanted = set(ALL) - set(dropped)
    elif "ALL" in dropped:
        wanted = set(added)
    else:
        wanted = (set(DEFAULT) - set(dropped)) | set(added)
    ordered = [name for name in ALL if name in wanted]
    return (
        tuple(name for name in ordered if name in available),
        tuple(name for name in ordered if name not in available),
    )


def _name(text: str) -> str:
    name = text.upper()
    if name == "ALL":
        return name
    name = name if name.startswith("CAP_") else f"CAP_{name}"
    if name not in ALL:
        raise InvalidInput(f'invalid capability: "{text}"', hint="capabilities(7) lists them")
    return name
