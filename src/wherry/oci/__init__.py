"""Floor 1: the OCI formats as values: references, digests, descriptors, manifests, indexes, image configurations.

Nothing here opens a file, a socket or a process.
"""

__all__: list[str] = []
