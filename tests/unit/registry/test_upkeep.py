"""What a server does by itself, with a clock that the test sets."""

import json

from registry_server import MANIFEST, digest_of, manifest_of
from wherry.registry.audit import Audit
from wherry.registry.configuration import Configuration
from wherry.registry.reserve import Reserve
from wherry.registry.upkeep import Upkeep

DAY = 86_400 * 1_000_000_000


class Service:
    """The test's registry as upkeep sees it."""

    def __init__(self, registry, directory):
        self.reserve = Reserve(str(directory))
        self.catalog, self.storage = registry.catalog, registry.storage
        self.configuration = Configuration()
        self.clock = lambda: registry.now


def push(registry, tag, layer):
    config = b"{}"
    for data in (config, layer):
        assert registry("POST", f"/v2/a/blobs/uploads/?digest={digest_of(data)}", data).status == 201
    manifest = manifest_of(config, [layer])
    assert registry("PUT", f"/v2/a/manifests/{tag}", manifest, {"Content-Type": MANIFEST}).status == 201
    return digest_of(manifest)


def test_it_collects_when_the_last_time_is_long_enough_ago_whatever_the_restarts(make_registry, tmp_path):
    registry = make_registry()
    audit = Audit(str(tmp_path / "audit.log"), lambda: registry.now)

    def names():
        return [name for name, _ in Upkeep(Service(registry, tmp_path), audit, print).once()]

    assert names() == ["collected"]
    registry.now += DAY // 2
    assert names() == []
    registry.now += DAY // 2
    assert names() == ["collected"]


def test_it_collects_what_nothing_names_after_the_grace(make_registry, tmp_path):
    registry = make_registry()
    audit = Audit(str(tmp_path / "audit.log"), lambda: registry.now)
    upkeep = Upkeep(Service(registry, tmp_path), audit, print)
    upkeep.once()
    push(registry, "1", b"named")
    registry("POST", f"/v2/a/blobs/uploads/?digest={digest_of(b'not named')}", b"not named")
    registry.now += DAY + 1
    found = dict(upkeep.once())
    assert (found["collected"]["blobs"], found["collected"]["freed"]) == (1, 9)
    assert registry("HEAD", f"/v2/a/blobs/{digest_of(b'named')}").status == 200
    assert registry("HEAD", f"/v2/a/blobs/{digest_of(b'not named')}").status == 404


def test_asking_for_a_blob_keeps_it(make_registry, tmp_path):
    """A client that found it there is about to name it."""
    registry = make_registry()
    upkeep = Upkeep(Service(registry, tmp_path), Audit(str(tmp_path / "audit.log"), lambda: registry.now), print)
    registry("POST", f"/v2/a/blobs/uploads/?digest={digest_of(b'x')}", b"x")
    registry.now += DAY
    assert registry("HEAD", f"/v2/a/blobs/{digest_of(b'x')}").status == 200
    registry.now += DAY // 2
    upkeep.once()
    assert registry("HEAD", f"/v2/a/blobs/{digest_of(b'x')}").status == 200


def test_it_carries_out_lifecycle_policies_and_says_so_in_the_audit_log(make_registry, tmp_path):
    registry = make_registry()
    path = tmp_path / "audit.log"
    upkeep = Upkeep(Service(registry, tmp_path), Audit(str(path), lambda: registry.now), print)
    old = push(registry, "old", b"one")
    registry.now += DAY
    push(registry, "new", b"two")
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
    text = json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})
    registry.catalog.write(lambda db: db.execute("UPDATE repositories SET lifecycle = ?", (text,)))
    assert ("images expired", {"repository": "a", "count": 1}) in upkeep.once()
    assert registry("GET", "/v2/a/tags/list").json()["tags"] == ["new"]
    entry = json.loads(path.read_text())
    assert (entry["action"], entry["actor"], entry["digests"]) == ("expire", "lifecycle", [old])


def test_an_internal_error_is_answered_and_logged_with_its_place(make_registry):
    registry = make_registry()
    registry("POST", f"/v2/a/blobs/uploads/?digest={digest_of(b'x')}", b"x")
    registry.catalog.write(lambda db: db.execute("DROP TABLE tags"))
    answer = registry("GET", "/v2/a/tags/list")
    assert (answer.status, answer.json()["errors"][0]["message"]) == (500, "internal error")
    assert "no such table: tags" in registry.logged[-1]["error"]
    assert "distribution.py" in registry.logged[-1]["error"]
