"""Floor 0: what every package needs and none owns: errors, programs, files, locks, paths, clock, progress.

Import the submodules; this package re-exports nothing, so that a command loads only what it uses.
"""

__all__: list[str] = []
