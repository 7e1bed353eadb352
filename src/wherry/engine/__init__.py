"""Floor 4: containers, images, volumes and networks as users see them."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.engine.engine import Engine, open_engine

__all__ = ["Engine", "open_engine"]


def __getattr__(name: str) -> "Any":
    """The whole engine is loaded by those who ask for it: the monitor of health checks does without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wherry.engine import engine

    return getattr(engine, name)
