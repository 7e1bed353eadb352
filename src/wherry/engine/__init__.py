"""Floor 4: containers, images, volumes and networks as users see them."""

from wherry.engine.engine import Engine, open_engine

__all__ = ["Engine", "open_engine"]
