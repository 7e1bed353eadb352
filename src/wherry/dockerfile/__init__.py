"""Floor 1: the Dockerfile language: parser, word expansion, ignore patterns. Opens nothing."""

from wherry.dockerfile.parser import Dockerfile, Heredoc, Instruction, Stage, parse_dockerfile

__all__ = ["Dockerfile", "Heredoc", "Instruction", "Stage", "parse_dockerfile"]
