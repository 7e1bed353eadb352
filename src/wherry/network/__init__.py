"""Floor 3: bridges, addresses on the wire, published ports and the files that names are resolved by."""

__all__: list[str] = []
