"""What could not be noted: it changes no blob, and is not acknowledged."""

import os

from registry_server import INDEX, digest_of, index_of
from wherry.base.errors import Unavailable
from wherry.registry.filesystem import FileSystemStorage


class FullAtTheEnd(FileSystemStorage):
    """The first blob is in its place, but the disk has no room for the note of it."""

    full = True

    def adopt(self, upload_id, digest):
        size = super().adopt(upload_id, digest)
        if self.full:
            self.full = False
            raise Unavailable("database or disk is full")
        return size


def test_a_blob_that_could_not_be_noted_stays_as_it_was_verified(make_registry, tmp_path):
    registry = make_registry(storage=FullAtTheEnd(str(tmp_path)))
    data, digest = b"layer" * 1000, digest_of(b"layer" * 1000)
    location = registry("POST", "/v2/a/blobs/uploads/").headers["location"]
    assert registry("PUT", f"{location}?digest={digest}", data).status == 503
    again = registry("PUT", f"{location}?digest={digest}", data)
    assert (again.status, again.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert registry("POST", f"/v2/a/blobs/uploads/?digest={digest}", data).status == 201
    assert registry("GET", f"/v2/a/blobs/{digest}").body == data


def test_a_push_that_cannot_be_audited_is_not_acknowledged(make_registry):
    registry = make_registry()
    os.mkdir(registry.audit_path)
    put = ("PUT", "/v2/a/manifests/1", index_of(), {"Content-Type": INDEX})
    answer = registry(*put)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert "cannot write the audit log" in registry.logged[-1]["error"]
    os.rmdir(registry.audit_path)
    assert registry(*put).status == 201
