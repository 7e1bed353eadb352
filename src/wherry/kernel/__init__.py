"""Floor 2: Linux as Wherry needs it: mounts and overlay, namespaces, cgroups, capabilities, seccomp, `ip` and `nft` batches."""

__all__: list[str] = []
