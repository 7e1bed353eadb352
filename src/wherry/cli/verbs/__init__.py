"""One module for each verb or group of verbs: parse, call one function, print."""

__all__: list[str] = []
