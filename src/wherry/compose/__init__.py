"""Floor 6: Compose projects. Files to a model (pure), model and observed state to a plan (pure), and applying it."""

from wherry.compose.location import ProjectOptions
from wherry.compose.model import Project, Service
from wherry.compose.project import load_project

__all__ = ["Project", "ProjectOptions", "Service", "load_project"]
