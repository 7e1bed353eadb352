"""What the registry knows of repositories, manifests, tags and blobs: SQLite tables and the questions asked of them.

Functions that change something are called in a transaction of the one writer, and take its connection; those that
only read take any. Bytes of manifests are kept here, so that a manifest and its tag become visible together.
"""

from __future__ import annotations

from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from wherry.registry.manifests import ManifestFacts

__all__ = [
    "MIGRATIONS",
    "Image",
    "Referrer",
    "Repository",
    "Statistics",
    "StoredManifest",
    "delete_manifest",
    "delete_repository",
    "find_manifest",
    "get_repository",
    "has_blob",
    "images",
    "is_in_index",
    "link_blob",
    "list_tags",
    "missing_references",
    "put_manifest",
    "referrers",
    "repositories",
    "statistics",
    "tags_of",
    "touch_blob",
]

MIGRATIONS = (
    """
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE repositories (
        name TEXT PRIMARY KEY,
        created INTEGER NOT NULL,
        immutable INTEGER NOT NULL DEFAULT 0,
        scan_on_push INTEGER NOT NULL DEFAULT 0,
        lifecycle TEXT NOT NULL DEFAULT '',
        lifecycle_evaluated INTEGER NOT NULL DEFAULT 0,
        policy TEXT NOT NULL DEFAULT '',
        labels TEXT NOT NULL DEFAULT '{}'
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE repository_blobs (
        repository TEXT NOT NULL REFERENCES repositories (name) ON DELETE CASCADE,
        digest TEXT NOT NULL REFERENCES blobs (digest),
        touched INTEGER NOT NULL,
        PRIMARY KEY (repository, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest);
    CREATE TABLE manifests (
        id INTEGER PRIMARY KEY,
        repository TEXT NOT NULL REFERENCES repositories (name) ON DELETE CASCADE,
        digest TEXT NOT NULL,
        media_type TEXT NOT NULL,
        artifact_type TEXT NOT NULL,
        config_media_type TEXT NOT NULL,
        subject TEXT NOT NULL,
        annotations TEXT NOT NULL,
        image_size INTEGER NOT NULL,
        pushed INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        UNIQUE (repository, digest)
    ) STRICT;
    CREATE INDEX manifests_by_subject ON manifests (repository, subject) WHERE subject <> '';
    CREATE TABLE manifest_references (
        manifest INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (manifest, kind, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX manifest_references_by_digest ON manifest_references (kind, digest);
    CREATE TABLE tags (
        repository TEXT NOT NULL,
        tag TEXT NOT NULL,
        digest TEXT NOT NULL,
        changed INTEGER NOT NULL,
        PRIMARY KEY (repository, tag),
        FOREIGN KEY (repository, digest) REFERENCES manifests (repository, digest) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tags_by_digest ON tags (repository, digest);
    CREATE TABLE uploads (
        id TEXT PRIMARY KEY,
        repository TEXT NOT NULL REFERENCES repositories (name) ON DELETE CASCADE,
        created INTEGER NOT NULL,
        owner TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)


class Repository(NamedTuple):
    """A repository; `created` in nanoseconds since the epoch, texts are JSON documents or empty."""

    name: str
    created: int
    immutable: bool
    scan_on_push: bool
    lifecycle: str
    policy: str
    labels: str


class Image(NamedTuple):
    """A manifest without its bytes; `size` of all that it names in bytes, `pushed` in nanoseconds since the epoch."""

    digest: str
    media_type: str
    artifact_type: str
    subject: str
    size: int
    pushed: int
    tags: tuple[str, ...]


class Referrer(NamedTuple):
    """A manifest that speaks of another; `size` in bytes, `annotations` a JSON object or empty."""

    id: int
    digest: str
    media_type: str
    size: int
    artifact_type: str
    annotations: str


class Statistics(NamedTuple):
    """What a repository holds; `size` in bytes, of blobs that it may share with others."""

    repository: str
    tags: int
    manifests: int
    blobs: int
    size: int


class StoredManifest(NamedTuple):
    """A manifest as it was pushed."""

    digest: str
    media_type: str
    data: bytes


_REPOSITORY = "SELECT name, created, immutable, scan_on_push, lifecycle, policy, labels FROM repositories"


def _repository(row: tuple[str, int, int, int, str, str, str]) -> Repository:
    return Repository(row[0], row[1], bool(row[2]), bool(row[3]), row[4], row[5], row[6])


def get_repository(connection: sqlite3.Connection, name: str) -> Repository | None:
    """The repository of that name."""
    row = connection.execute(f"{_REPOSITORY} WHERE name = ?", (name,)).fetchone()
    return _repository(row) if row else None


def repositories(connection: sqlite3.Connection, after: str = "", limit: int = -1) -> list[Repository]:
    """Repositories in the order of their names, those after `after`."""
    rows = connection.execute(f"{_REPOSITORY} WHERE name > ? ORDER BY name LIMIT ?", (after, limit))
    return [_repository(row) for row in rows]


def delete_repository(connection: sqlite3.Connection, name: str) -> None:
    """Forget the repository and all it names; blobs that nobody names any more go with the next collection."""
    connection.execute("DELETE FROM repositories WHERE name = ?", (name,))


def has_blob(connection: sqlite3.Connection, repository: str, digest: str) -> int | None:
    """The size of the blob where the repository has it."""
    row = connection.execute(
        "SELECT b.size FROM repository_blobs r JOIN blobs b ON b.digest = r.digest"
        " WHERE r.repository = ? AND r.digest = ?",
        (repository, digest),
    ).fetchone()
    return int(row[0]) if row else None


def link_blob(connection: sqlite3.Connection, repository: str, digest: str, size: int, now: int) -> None:
    """Record that the blob is stored, and that the repository has it."""
    connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", (digest, size, now))
    connection.execute("INSERT OR REPLACE INTO repository_blobs VALUES (?, ?, ?)", (repository, digest, now))


def touch_blob(connection: sqlite3.Connection, repository: str, digest: str, now: int) -> None:
    """Say that somebody counts on the blob: no collection takes it for a while."""
    connection.execute(
        "UPDATE repository_blobs SET touched = ? WHERE repository = ? AND digest = ?", (now, repository, digest)
    )


def find_manifest(connection: sqlite3.Connection, repository: str, reference: str) -> StoredManifest | None:
    """By tag or by digest."""
    if ":" in reference:
        where, values = "m.digest = ?", (repository, reference)
    else:
        where = "m.digest = (SELECT digest FROM tags t WHERE t.repository = m.repository AND t.tag = ?)"
        values = (repository, reference)
    row = connection.execute(
        f"SELECT digest, media_type, bytes FROM manifests m WHERE m.repository = ? AND {where}",  # noqa: S608 (constants)
        values,
    ).fetchone()
    return StoredManifest(*row) if row else None


def missing_references(connection: sqlite3.Connection, repository: str, facts: ManifestFacts) -> list[str]:
    """What the manifest needs and the repository lacks."""
    missing = [digest for digest in facts.blobs if has_blob(connection, repository, digest) is None]
    for digest in facts.manifests:
        found = connection.execute(
            "SELECT 1 FROM manifests WHERE repository = ? AND digest = ?", (repository, digest)
        ).fetchone()
        if not found:
            missing.append(digest)
    return missing


def put_manifest(
    connection: sqlite3.Connection,
    repository: str,
    digest: str,
    facts: ManifestFacts,
    data: bytes,
    tags: Iterable[str],
    now: int,
) -> None:
    """Store the manifest and move the tags to it. A manifest that is here already keeps the time of its push."""
    connection.execute(
        "INSERT OR IGNORE INTO manifests (repository, digest, media_type, artifact_type, config_media_type, subject,"
        " annotations, image_size, pushed, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            repository,
            digest,
            facts.media_type,
            facts.artifact_type,
            facts.config_media_type,
            facts.subject,
            facts.annotations,
            facts.image_size,
            now,
            data,
        ),
    )
    identifier = connection.execute(
        "SELECT id FROM manifests WHERE repository = ? AND digest = ?", (repository, digest)
    ).fetchone()[0]
    rows = [(identifier, "blob", each) for each in facts.blobs]
    rows += [(identifier, "manifest", each) for each in facts.manifests]
    connection.executemany("INSERT OR IGNORE INTO manifest_references VALUES (?, ?, ?)", rows)
    for tag in tags:
        connection.execute(
            "INSERT INTO tags VALUES (?, ?, ?, ?) ON CONFLICT (repository, tag) DO UPDATE"
            " SET digest = excluded.digest, changed = excluded.changed",
            (repository, tag, digest, now),
        )


def delete_manifest(connection: sqlite3.Connection, repository: str, digest: str) -> bool:
    """Forget the manifest and the tags that name it; whether it was here."""
    done = connection.execute("DELETE FROM manifests WHERE repository = ? AND digest = ?", (repository, digest))
    return done.rowcount > 0


def list_tags(connection: sqlite3.Connection, repository: str, after: str = "", limit: int = -1) -> list[str]:
    """Tags in the order of their bytes, those after `after`."""
    rows = connection.execute(
        "SELECT tag FROM tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?", (repository, after, limit)
    )
    return [row[0] for row in rows]


def images(connection: sqlite3.Connection, repository: str) -> list[Image]:
    """All manifests of the repository in the order of their digests, each with its tags in order."""
    tags: dict[str, list[str]] = {}
    for digest, tag in connection.execute(
        "SELECT digest, tag FROM tags WHERE repository = ? ORDER BY tag", (repository,)
    ):
        tags.setdefault(digest, []).append(tag)
    rows = connection.execute(
        "SELECT digest, media_type, CASE artifact_type WHEN '' THEN config_media_type ELSE artifact_type END, subject,"
        " image_size, pushed FROM manifests WHERE repository = ? ORDER BY digest",
        (repository,),
    )
    return [
        Image(digest, media_type, artifact_type, subject, size, pushed, tuple(tags.get(digest, ())))
        for digest, media_type, artifact_type, subject, size, pushed in rows
    ]


def is_in_index(connection: sqlite3.Connection, repository: str, digest: str) -> bool:
    """Whether an index of the repository names the manifest."""
    found = connection.execute(
        "SELECT 1 FROM manifest_references r JOIN manifests m ON m.id = r.manifest"
        " WHERE r.kind = 'manifest' AND r.digest = ? AND m.repository = ?",
        (digest, repository),
    )
    return found.fetchone() is not None


def tags_of(connection: sqlite3.Connection, repository: str, digest: str) -> list[str]:
    """The tags of one manifest."""
    rows = connection.execute(
        "SELECT tag FROM tags WHERE repository = ? AND digest = ? ORDER BY tag", (repository, digest)
    )
    return [row[0] for row in rows]


def referrers(connection: sqlite3.Connection, repository: str, subject: str, after: int = 0) -> Iterator[Referrer]:
    """Manifests whose subject it is, one by one: those whose number is above `after`, in order."""
    rows = connection.execute(
        "SELECT id, digest, media_type, length(bytes),"
        " CASE artifact_type WHEN '' THEN config_media_type ELSE artifact_type END, annotations"
        " FROM manifests WHERE repository = ? AND subject = ? AND id > ? ORDER BY id",
        (repository, subject, after),
    )
    return (Referrer(*row) for row in rows)


def statistics(connection: sqlite3.Connection) -> list[Statistics]:
    """What each repository holds, in the order of their names."""
    rows = connection.execute(
        "SELECT name, (SELECT count(*) FROM tags WHERE repository = name),"
        " (SELECT count(*) FROM manifests WHERE repository = name),"
        " (SELECT count(*) FROM repository_blobs WHERE repository = name),"
        " (SELECT coalesce(sum(b.size), 0) FROM repository_blobs r JOIN blobs b ON b.digest = r.digest"
        "  WHERE r.repository = name) FROM repositories ORDER BY name"
    )
    return [Statistics(*row) for row in rows]
