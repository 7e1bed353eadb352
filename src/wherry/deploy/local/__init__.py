"""This machine as a target: each instance is a Compose project of its own, derived from the version's model."""

from __future__ import annotations

from wherry.deploy.local.target import LocalTarget

__all__ = ["LocalTarget"]
