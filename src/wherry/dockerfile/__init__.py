"""Floor 1: the Dockerfile language: parser, word expansion, ignore patterns. Opens nothing."""

from wherry.dockerfile.mounts import MountFlag, mount_source, parse_mount
from wherry.dockerfile.parser import Dockerfile, Heredoc, Instruction, Stage, parse_dockerfile, parse_trigger

__all__ = [
    "Dockerfile",
    "Heredoc",
    "Instruction",
    "MountFlag",
    "Stage",
    "mount_source",
    "parse_dockerfile",
    "parse_mount",
    "parse_trigger",
]
