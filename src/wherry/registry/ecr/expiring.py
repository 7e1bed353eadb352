"""Lifecycle policies, carried out: each repository's in one transaction, so that a push meanwhile is seen or not."""

from __future__ import annotations

from wherry.base.errors import InvalidInput
from wherry.registry import metadata
from wherry.registry.ecr.lifecycle import Candidate, expired, parse_lifecycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from wherry.registry.catalog import Catalog
    from wherry.registry.ecr.lifecycle import Expiry

__all__ = ["candidates", "expire_images"]


def candidates(connection: sqlite3.Connection, repository: str) -> list[Candidate]:
    """The images that rules speak of: not what an index names or what is attached to an image, which go with those."""
    found = metadata.images(connection, repository)
    here = {image.digest for image in found}
    return [
        Candidate(image.digest, image.tags, image.pushed)
        for image in found
        if not metadata.is_in_index(connection, repository, image.digest) and image.subject not in here
    ]


def expire_images(catalog: Catalog, now: int) -> Iterator[tuple[str, list[Expiry]]]:
    """Delete what the repositories' policies say; each repository that lost images, with those."""
    names = catalog.write(
        lambda db: [row[0] for row in db.execute("SELECT name FROM repositories WHERE lifecycle <> ''")]
    )
    for name in names:
        gone = catalog.write(lambda db, each=name: _expire(db, each, now))  # type: ignore[misc]
        if gone:
            yield name, gone


def _expire(connection: sqlite3.Connection, name: str, now: int) -> list[Expiry]:
    repository = metadata.get_repository(connection, name)
    if repository is None or not repository.lifecycle:
        return []
    try:
        rules = parse_lifecycle(repository.lifecycle)
    except InvalidInput:  # a policy that an earlier version took
        return []
    found = expired(rules, candidates(connection, name), now)
    for each in found:
        _delete(connection, name, each.image.digest)
    connection.execute("UPDATE repositories SET lifecycle_evaluated = ? WHERE name = ?", (now, name))
    return found


def _delete(connection: sqlite3.Connection, name: str, digest: str) -> None:
    """The image, the images that only it names as an index, and what is attached to it."""
    named = connection.execute(
        "SELECT r.digest FROM manifest_references r JOIN manifests m ON m.id = r.manifest"
        " WHERE m.repository = ? AND m.digest = ? AND r.kind = 'manifest'",
        (name, digest),
    ).fetchall()
    attached = connection.execute(
        "SELECT digest FROM manifests WHERE repository = ? AND subject = ?", (name, digest)
    ).fetchall()
    if not metadata.delete_manifest(connection, name, digest):
        return
    for (each,) in named:
        if not metadata.is_in_index(connection, name, each) and not metadata.tags_of(connection, name, each):
            _delete(connection, name, each)
    for (each,) in attached:
        _delete(connection, name, each)
