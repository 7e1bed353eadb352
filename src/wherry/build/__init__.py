"""Floor 5: a Dockerfile and its context become an image: plan, cache keys, executor."""

from wherry.build.builder import build
from wherry.build.request import BuildRequest, BuildResult, Secret
from wherry.build.several import build_all

__all__ = ["BuildRequest", "BuildResult", "Secret", "build", "build_all"]
