"""Wherry: one tool from a source tree to a running, load-balanced service."""

__all__ = ["__version__"]

__version__ = "0.1.0"
