"""An upload whose end could not be noted never changes the bytes of a blob."""

from registry_server import digest_of
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
