"""Floor 9: arguments, rendering and exit codes; one module per verb, loaded only when that verb is called."""

__all__: list[str] = []
