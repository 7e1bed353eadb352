"""Where an installation keeps its things, and what it calls them where names are shared with the whole machine."""

from __future__ import annotations

import os

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_ROOT", "DEFAULT_RUN", "Layout"]

DEFAULT_ROOT = "/var/lib/wherry"
DEFAULT_RUN = "/run/wherry"


class Layout(NamedTuple):
    """One installation: `root` holds what survives a reboot, `run` what must not. Both are absolute
    and without symbolic links, as the kernel's table of mounts names them."""

    root: str
    run: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], uid: int) -> Layout:
        """`WHERRY_ROOT` and `WHERRY_RUN` win; else the system's directories for root, the XDG ones for anyone else."""
        if uid == 0:
            root, run = DEFAULT_ROOT, DEFAULT_RUN
        else:
            home = environ.get("HOME", "/")
            root = os.path.join(environ.get("XDG_DATA_HOME") or os.path.join(home, ".local/share"), "wherry")
            run = os.path.join(environ.get("XDG_RUNTIME_DIR") or f"/tmp/wherry-{uid}", "wherry")
        root = os.path.realpath(environ.get("WHERRY_ROOT") or root)
        if environ.get("WHERRY_RUN"):
            run = os.path.realpath(environ["WHERRY_RUN"])
        elif root != DEFAULT_ROOT and uid == 0:
            run = os.path.join(DEFAULT_RUN + "-installations", cls(root, "").tag)
        return cls(root, run)

    @property
    def tag(self) -> str:
        """Six characters that no other root on this machine has; empty for the default root.

        Every name that the kernel sees is built from it: bridge, veth, nft table, namespace, cgroup.
        """
        if self.root == DEFAULT_ROOT:
            return ""
        from binascii import crc32  # a cryptographic digest costs every command the loading of its library

        return f"{crc32(os.path.realpath(self.root).encode()) & 0xFFFFFF:06x}"

    @property
    def database(self) -> str:
        """The SQLite file that holds every fact but bytes."""
        return f"{self.root}/wherry.db"

    @property
    def content(self) -> str:
        """An OCI image layout (image-spec v1.1 image-layout.md)."""
        return f"{self.root}/content"

    @property
    def snapshots(self) -> str:
        """One directory per layer, shared by all images and containers."""
        return f"{self.root}/snapshots"

    @property
    def volumes(self) -> str:
        """`volumes/NAME/_data` is the content of the named volume NAME."""
        return f"{self.root}/volumes"

    @property
    def cache_mounts(self) -> str:
        """One directory for each cache that build steps mount."""
        return f"{self.root}/cache-mounts"

    @property
    def locks(self) -> str:
        """Lock files; volatile, like the processes that hold them."""
        return f"{self.run}/locks"

    def container(self, container_id: str) -> str:
        """What survives a reboot of one container: its writable layer, logs and generated files."""
        return f"{self.root}/containers/{container_id}"

    def container_run(self, container_id: str) -> str:
        """What does not: bundle, root mount, sockets, pid files."""
        return f"{self.run}/containers/{container_id}"
