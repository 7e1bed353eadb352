"""Media types of OCI (image-spec v1.1 media-types.md) and of Docker's schema 2, which registries still hold."""

from __future__ import annotations

from wherry.base.errors import Unsupported

__all__ = [
    "CONFIG",
    "DOCKER_CONFIG",
    "DOCKER_INDEX",
    "DOCKER_LAYER_GZIP",
    "DOCKER_MANIFEST",
    "INDEX",
    "INDEXES",
    "LAYER",
    "LAYER_GZIP",
    "LAYER_ZSTD",
    "MANIFEST",
    "MANIFESTS",
    "SCHEMA_1",
    "is_distributable",
    "layer_compression",
    "oci_layer",
]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

INDEXES = frozenset((INDEX, DOCKER_INDEX))
MANIFESTS = frozenset((MANIFEST, DOCKER_MANIFEST))
SCHEMA_1 = frozenset(f"application/vnd.docker.distribution.manifest.v1+{suffix}" for suffix in ("json", "prettyjws"))

_COMPRESSION = {
    LAYER: "none",
    LAYER_GZIP: "gzip",
    LAYER_ZSTD: "zstd",
    DOCKER_LAYER_GZIP: "gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "none",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "none",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
}

_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_OCI_NAMES = {_DOCKER_LAYER: LAYER, DOCKER_LAYER_GZIP: LAYER_GZIP, f"{_DOCKER_LAYER}.zstd": LAYER_ZSTD}


def is_distributable(media_type: str) -> bool:
    """Whether a layer may be pushed to another registry (image-spec v1.1 layer.md#non-distributable-layers)."""
    return ".foreign." not in media_type and ".nondistributable." not in media_type


def layer_compression(media_type: str) -> str:
    """`none`, `gzip` or `zstd`. Raises Unsupported for what is not a layer."""
    try:
        return _COMPRESSION[media_type]
    except KeyError:
        raise Unsupported(f"not a layer that can be unpacked: {media_type!r}") from None


def oci_layer(media_type: str) -> str:
    """What OCI calls a layer that Docker's schema 2 calls otherwise: one manifest holds one kind of names."""
    return _OCI_NAMES.get(media_type, media_type)
