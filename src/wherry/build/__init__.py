"""Floor 5: a Dockerfile and its context become an image: plan, cache keys, executor."""

__all__: list[str] = []
