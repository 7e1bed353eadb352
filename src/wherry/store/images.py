"""Images and their names. An image is one manifest for one platform; its identifier is its configuration's digest."""

from __future__ import annotations

from wherry.base.errors import Conflict, InvalidInput, NotFound
from wherry.base.values import NamedTuple
from wherry.oci.config import ImageConfig, encode_config, parse_config
from wherry.oci.descriptor import Descriptor, Index, Manifest, parse_document
from wherry.oci.digest import sha256_digest
from wherry.oci.reference import Reference, parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from wherry.store.content import ContentStore
    from wherry.store.database import Database
    from wherry.store.leases import Lease

__all__ = ["Image", "ImageStore"]

_MIGRATIONS = (
    """
    CREATE TABLE images (
        manifest TEXT PRIMARY KEY,
        media_type TEXT NOT NULL,
        manifest_size INTEGER NOT NULL,
        id TEXT NOT NULL,
        size INTEGER NOT NULL,
        created INTEGER NOT NULL,
        added INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX images_by_id ON images (id);
    CREATE TABLE image_names (
        name TEXT PRIMARY KEY,
        manifest TEXT NOT NULL REFERENCES images (manifest) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX image_names_by_manifest ON image_names (manifest);
    """,
    """
    CREATE TABLE image_digests (
        repository TEXT NOT NULL,
        digest TEXT NOT NULL,
        manifest TEXT NOT NULL REFERENCES images (manifest) ON DELETE CASCADE,
        PRIMARY KEY (repository, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX image_digests_by_manifest ON image_digests (manifest);
    """,
)
_SELECT = (
    "SELECT id, manifest, size, created, added,"
    " (SELECT group_concat(name, ' ') FROM image_names n WHERE n.manifest = images.manifest),"
    " (SELECT group_concat(repository || '@' || digest, ' ') FROM image_digests d"
    "  WHERE d.manifest = images.manifest) FROM images"
)


class Image(NamedTuple):
    """An image in the store. `names` are canonical references; `size` is what its layers hold, in bytes.

    `digests` are what registries call it, `repository@digest`: of what was pulled (an index, perhaps) or pushed.
    """

    id: str
    manifest_digest: str
    size: int
    created: int
    added: int
    names: tuple[str, ...]
    digests: tuple[str, ...] = ()


def _image(row: Sequence[Any]) -> Image:
    return Image(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        tuple(sorted((row[5] or "").split())),
        tuple(sorted((row[6] or "").split())),
    )


class ImageStore:
    """The images of one installation, and the index of the OCI layout that mirrors their names."""

    def __init__(self, database: Database, content: ContentStore, clock: Callable[[], int]) -> None:
        database.migrate("images", _MIGRATIONS)
        self._database = database
        self._content = content
        self._clock = clock

    def create(
        self,
        config: ImageConfig,
        layers: Sequence[Descriptor],
        *,
        lease: Lease,
        names: Sequence[Reference] = (),
        size: int = 0,
    ) -> Image:
        """Store configuration and manifest over layers that are stored already, and name the image."""
        encoded, manifest = _documents(config, layers)
        self._content.add(encoded, lease)
        stored = self._content.add(manifest.encode(), lease)
        return self.put(stored.digest, manifest, config, names=names, size=size)

    def find_made(
        self, config: ImageConfig, layers: Sequence[Descriptor], *, names: Sequence[Reference] = ()
    ) -> Image | None:
        """What `create` would give, where it has been made already, is whole and has all the names; writes nothing."""
        configuration, manifest = _documents(config, layers)
        digest = sha256_digest(manifest.encode())
        blobs = (sha256_digest(configuration), digest, *(layer.digest for layer in layers))
        image = next(iter(self._query("WHERE manifest = ?", digest)), None)
        if image is None or not {str(name) for name in names} <= {*image.names}:
            return None
        return image if all(map(self._content.exists, blobs)) else None

    def put(
        self,
        manifest_digest: str,
        manifest: Manifest,
        config: ImageConfig,
        *,
        names: Sequence[Reference] = (),
        size: int = 0,
    ) -> Image:
        """Record an image whose blobs are all stored; each of `names` moves to it."""
        row = (
            manifest_digest,
            manifest.media_type,
            self._content.size(manifest_digest),
            manifest.config.digest,
            size or sum(layer.size for layer in manifest.layers),
            config.created,
            self._clock(),
        )
        with self._database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            for name in names:
                connection.execute("INSERT OR REPLACE INTO image_names VALUES (?, ?)", (str(name), manifest_digest))
        if names:
            self._mirror()
        return self.get(manifest_digest)

    def get(self, manifest_digest: str) -> Image:
        """By the digest of its manifest. Raises NotFound."""
        found = self._query("WHERE manifest = ?", manifest_digest)
        if not found:
            raise NotFound(f"No such image: {manifest_digest}")
        return found[0]

    def all(self) -> list[Image]:
        """All images."""
        return self._query("")

    def tag(self, manifest_digest: str, reference: Reference) -> None:
        """Give the image a name; if another image had it, that image loses it."""
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO image_names VALUES (?, ?)", (str(reference), manifest_digest))
        self._mirror()

    def note_digest(self, manifest_digest: str, repository: str, digest: str) -> None:
        """Remember that the registry's `repository` (with the registry's name) calls the image `digest`."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO image_digests VALUES (?, ?, ?)", (repository, digest, manifest_digest)
            )

    def forget_digests(self, manifest_digest: str, repository: str, digest: str = "") -> None:
        """Forget what `repository` calls the image, or only the one `digest`; harmless where nothing is known."""
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM image_digests WHERE manifest = ? AND repository = ? AND ? IN ('', digest)",
                (manifest_digest, repository, digest),
            )

    def untag(self, reference: Reference) -> None:
        """Take a name away; harmless where nobody has it."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM image_names WHERE name = ?", (str(reference),))
        self._mirror()

    def remove(self, manifest_digest: str) -> None:
        """Forget the image and its names; its blobs go with the next collection."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM images WHERE manifest = ?", (manifest_digest,))
        self._mirror()

    def find(self, reference: Reference) -> Image | None:
        """The image of exactly that name (or of that repository and digest)."""
        if reference.digest:
            called = (reference.name, reference.digest)
            noted = "WHERE manifest = (SELECT manifest FROM image_digests WHERE repository = ? AND digest = ?)"
            found = self._query(noted, *called) or self._query("WHERE manifest = ?", reference.digest)
            known = f"{reference.name}@{reference.digest}"
            return next(
                (one for one in found if known in one.digests or _has_repository(one, reference) or not one.names), None
            )
        found = self._query("WHERE manifest = (SELECT manifest FROM image_names WHERE name = ?)", str(reference))
        return found[0] if found else None

    def resolve(self, text: str) -> Image:
        """By name, identifier or unique beginning of it. Raises NotFound, or Conflict where it is ambiguous."""
        try:
            named = self.find(parse_reference(text))
        except InvalidInput:
            named = None
            if not _is_identifier(text):
                raise
        found = named or self._by_identifier(text)
        if found is None:
            raise NotFound(f"No such image: {text}", hint="`wherry images` shows what there is")
        return found

    def by_identifier(self, identifier: str) -> Image:
        """By its whole identifier. Raises NotFound."""
        found = self._query("WHERE id = ?", identifier)
        if not found:
            raise NotFound(f"No such image: {identifier}")
        return found[0]

    def with_id(self, identifier: str) -> list[Image]:
        """The images with that configuration: the same content, perhaps under several manifests."""
        return self._query("WHERE id = ? ORDER BY added", identifier)

    def _by_identifier(self, text: str) -> Image | None:
        prefix = text.removeprefix("sha256:")
        if not _is_identifier(text):
            return None
        found = self._query("WHERE id >= ? AND id < ?", f"sha256:{prefix}", f"sha256:{prefix}g")
        if len({one.id for one in found}) > 1:
            raise Conflict(f"image ID prefix {text} is ambiguous", hint="give more of the identifier")
        return found[0] if found else None

    def _query(self, where: str, *values: str) -> list[Image]:
        with self._database.read() as connection:
            return [_image(row) for row in connection.execute(f"{_SELECT} {where}", values)]

    def manifest(self, image: Image) -> Manifest:
        """Raises Corrupt where the stored bytes are damaged."""
        document = parse_document(self._content.read(image.manifest_digest))
        if isinstance(document, Index):
            raise Conflict(f"{image.manifest_digest} is an index, not an image")
        return document

    def config(self, image: Image) -> ImageConfig:
        """Raises Corrupt where the stored bytes are damaged."""
        return parse_config(self._content.read(image.id))

    def _mirror(self) -> None:
        """Write `index.json` anew from the names, under a lock, so that the last writer saw every name."""
        with self._content.changing(exclusive=True):
            with self._database.read() as connection:
                rows = connection.execute(
                    "SELECT name, i.manifest, media_type, manifest_size FROM image_names n"
                    " JOIN images i ON i.manifest = n.manifest ORDER BY name"
                ).fetchall()
            named = [
                Descriptor(media_type, digest, size, {"org.opencontainers.image.ref.name": name})
                for name, digest, media_type, size in rows
            ]
            self._content.write_index(Index(tuple(named)).encode())


def _documents(config: ImageConfig, layers: Sequence[Descriptor]) -> tuple[bytes, Manifest]:
    """The configuration as it is stored, and the manifest over it and the layers."""
    from wherry.oci.media_types import CONFIG, oci_layer

    encoded = encode_config(config)
    plain = tuple(layer._replace(media_type=oci_layer(layer.media_type)) for layer in layers)
    return encoded, Manifest(Descriptor(CONFIG, sha256_digest(encoded), len(encoded)), plain)


def _has_repository(image: Image, reference: Reference) -> bool:
    return any(parse_reference(name).name == reference.name for name in image.names)


def _is_identifier(text: str) -> bool:
    prefix = text.removeprefix("sha256:")
    return 0 < len(prefix) <= 64 and all(letter in "0123456789abcdef" for letter in prefix)
