"""Floor 2: a directory to a layer tar and back, in one pass over the bytes, trusting no path inside an archive.

A layer on disk is a directory that an overlay mount takes as it is: a removed name is a character device 0/0, an
opaque directory has `trusted.overlay.opaque` set to `y` (kernel Documentation/filesystems/overlayfs.rst). A layer in
transit is a tar with whiteout files (image-spec v1.1 layer.md#whiteouts).
"""

__all__: list[str] = []
