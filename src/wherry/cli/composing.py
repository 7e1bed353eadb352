"""What every `compose` command shares: the project that its options name."""

from __future__ import annotations

import os
import sys

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.compose import Project, ProjectOptions

__all__ = ["Invocation", "warn"]


class Invocation(NamedTuple):
    """The options before the command; `parallel` -1 is without limit."""

    options: ProjectOptions
    ansi: str = "auto"  # never | always | auto
    progress: str = "auto"  # auto | tty | plain | json | quiet
    parallel: int = -1
    dry_run: bool = False
    all_resources: bool = False

    def project(self, services: Iterable[str] = ()) -> Project:
        """The project; the profiles of the services named are active."""
        from wherry.compose import load_project
        from wherry.compose.readers import DiskSource

        return load_project(self.options, DiskSource(), warn, services)

    def name(self) -> str:
        """The project's name, read from its files only where nothing else says it."""
        from wherry.compose.project import project_name
        from wherry.compose.readers import DiskSource

        return project_name(self.options, DiskSource(), warn)

    def colours(self, stream: int = 1) -> bool:
        """Whether to write colours to the descriptor."""
        if self.ansi in ("never", "always"):
            return self.ansi == "always"
        return os.isatty(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def warn(message: str) -> None:
    """Tell the user something that stops nothing."""
    print(f"WARNING: {message}", file=sys.stderr)
