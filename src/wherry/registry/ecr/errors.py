"""What ECR's API answers when it refuses: the exceptions that Amazon's clients know by name."""

from __future__ import annotations

__all__ = ["EcrError", "repository_not_found"]


class EcrError(Exception):
    """`kind` is the exception's name in ECR's service model."""

    def __init__(self, kind: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status


def repository_not_found(name: str, account: str) -> EcrError:
    """In Amazon's words, which scripts match."""
    return EcrError(
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id '{account}'",
    )
