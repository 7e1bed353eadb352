"""What every blob storage promises (`wherry.registry.storage`); an object store is to be added to `storages`."""

import hashlib
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.base.errors import NotFound
from wherry.registry.filesystem import FileSystemStorage
from wherry.registry.memory import MemoryStorage

ID = "5f0f4b5e-9d4e-4b8e-8d0c-0123456789ab"
OTHER = "6f0f4b5e-9d4e-4b8e-8d0c-0123456789ab"


@pytest.fixture(params=["filesystem", "memory"])
def storage(request, tmp_path):
    return FileSystemStorage(str(tmp_path)) if request.param == "filesystem" else MemoryStorage()


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def store(storage, data, upload_id=ID):
    upload = storage.create(upload_id)
    upload.write([data])
    upload.seal()
    size = storage.adopt(upload_id, digest_of(data))
    upload.close()
    assert size == len(data)
    return digest_of(data)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_upload_becomes_a_blob(storage, algorithm):
    upload = storage.create(ID)
    upload.write([b"one ", b"two "])
    upload.write([b"three"])
    assert upload.size == 13
    digest = digest_of(b"one two three", algorithm)
    assert upload.digest(algorithm) == digest
    assert storage.size(digest) is None  # nothing is seen before it is adopted
    upload.seal()
    assert storage.adopt(ID, digest) == 13
    assert storage.size(digest) == 13
    assert b"".join(storage.read(digest)) == b"one two three"
    assert list(storage.uploads()) == []
    assert storage.resume(ID) is None


def test_parts_of_a_blob(storage):
    digest = store(storage, b"0123456789")
    assert b"".join(storage.read(digest, 2, 5)) == b"234"
    assert b"".join(storage.read(digest, 7)) == b"789"
    assert b"".join(storage.read(digest, 4, 4)) == b""


def test_an_empty_blob(storage):
    digest = store(storage, b"")
    assert storage.size(digest) == 0
    assert b"".join(storage.read(digest)) == b""


def test_what_is_not_there(storage):
    digest = digest_of(b"x")
    assert storage.size(digest) is None
    assert storage.delete(digest) == 0
    assert storage.resume(ID) is None
    storage.discard(ID)
    with pytest.raises(NotFound):
        next(storage.read(digest))


def test_an_upload_is_resumed_by_another_holder(storage):
    upload = storage.create(ID)
    upload.write([b"first "])
    upload.close()
    again = storage.resume(ID)
    assert again.size == 6
    again.write([b"second"])
    assert again.digest("sha256") == digest_of(b"first second")
    again.seal()
    assert storage.adopt(ID, digest_of(b"first second")) == 12


def test_uploads_are_listed_with_their_size_and_time(storage):
    before = time.time_ns()
    storage.create(ID).write([b"abc"])
    storage.create(OTHER)
    found = {each.id: each for each in storage.uploads()}
    assert {name: each.size for name, each in found.items()} == {ID: 3, OTHER: 0}
    assert all(abs(each.changed - before) < 60e9 for each in found.values())
    storage.discard(ID)
    assert [each.id for each in storage.uploads()] == [OTHER]


def test_an_equal_blob_stays_as_it_is(storage):
    digest = store(storage, b"same")
    assert store(storage, b"same", OTHER) == digest
    assert [each for each, _ in storage.digests()] == [digest]
    assert list(storage.uploads()) == []


def test_blobs_are_listed_and_deleted(storage):
    digests = {store(storage, bytes([number])) for number in range(5)}
    assert {digest for digest, _ in storage.digests()} == digests
    gone = digests.pop()
    assert storage.delete(gone) == 1
    assert {digest for digest, _ in storage.digests()} == digests
    assert storage.size(gone) is None


def test_a_local_path_is_the_blob(storage):
    path = storage.local_path(store(storage, b"bytes"))
    if path is not None:
        with open(path, "rb") as file:
            assert file.read() == b"bytes"


@given(parts=st.lists(st.binary(max_size=200), max_size=8), restart=st.integers(0, 8))
def test_whatever_the_parts_the_digest_is_of_all(tmp_path_factory, parts, restart):
    for storage in (FileSystemStorage(str(tmp_path_factory.mktemp("s"))), MemoryStorage()):
        upload = storage.create(ID)
        for number, part in enumerate(parts):
            if number == restart:
                upload.close()
                upload = storage.resume(ID)
            upload.write([part])
        data = b"".join(parts)
        assert upload.size == len(data)
        assert upload.digest("sha256") == digest_of(data)
        upload.close()


def test_a_write_that_fails_half_way_leaves_no_wrong_digest(tmp_path, monkeypatch):
    """What is on the disk decides, not what was meant to be there."""
    storage = FileSystemStorage(str(tmp_path))
    upload = storage.create(ID)
    real, calls = os.pwrite, []

    def full_disk(fd, data, position):
        calls.append(position)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(fd, data[:3], position)

    monkeypatch.setattr(os, "pwrite", full_disk)
    with pytest.raises(Exception, match="No space left"):
        upload.write([b"abcdef"])
    monkeypatch.setattr(os, "pwrite", real)
    assert upload.size == 3
    upload.write([b"XYZ"])
    assert upload.digest("sha256") == digest_of(b"abcXYZ")
