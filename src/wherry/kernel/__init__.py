"""Floor 2: Linux as Wherry needs it.

Mounts and overlay, namespaces, cgroups, capabilities, the seccomp profile, `ip` and `nft` batches.
"""

__all__: list[str] = []
