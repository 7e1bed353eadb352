"""Floor 4: containers, images and volumes as users see them."""

__all__: list[str] = []
