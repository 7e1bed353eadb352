"""Archives of images are hostile until proven otherwise."""

import bz2
import gzip
import io
import lzma
import tarfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as some

from wherry.base.errors import Corrupt, HostileArchive, NotFound, Unsupported, WherryError
from wherry.transfer import tarfiles
from wherry.transfer.dockerarchive import DockerArchiveSource, archived_images
from wherry.transfer.tarfiles import open_archive


def tar(*entries):
    """Entries are (name, content) or (name, kind, target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, what, *target in entries:
            entry = tarfile.TarInfo(name)
            if target:
                entry.type, entry.linkname = what, target[0]
                archive.addfile(entry)
            else:
                entry.size = len(what)
                archive.addfile(entry, io.BytesIO(what))
    return stream.getvalue()


@pytest.fixture
def opened(tmp_path):
    def open_it(data):
        path = tmp_path / "archive"
        path.write_bytes(data)
        return open_archive(open(path, "rb"), "the archive", str(tmp_path))

    return open_it


@pytest.mark.parametrize(
    "squeeze", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_every_compression_is_recognised(opened, squeeze):
    archive = opened(squeeze(tar(("./a", b"content"), ("d/b", b"more"))))
    assert archive.read("a", 100) == b"content"
    assert archive.read("/d/../d/b", 100) == b"more"
    assert "c" not in archive


def test_links_lead_to_files_of_the_archive_and_nowhere_else(opened):
    archive = opened(
        tar(
            ("one/layer.tar", b"layer"),
            ("two/layer.tar", tarfile.SYMTYPE, "../one/layer.tar"),
            ("three", tarfile.LNKTYPE, "two/layer.tar"),
            ("out", tarfile.SYMTYPE, "../../../../etc/passwd"),
            ("absolute", tarfile.SYMTYPE, "/etc/passwd"),
            ("round", tarfile.SYMTYPE, "about"),
            ("about", tarfile.SYMTYPE, "round"),
        )
    )
    assert archive.read("two/layer.tar", 10) == archive.read("three", 10) == b"layer"
    for name in ("out", "absolute", "round"):
        with pytest.raises(NotFound):
            archive.read(name, 10)


def test_bounds(opened, monkeypatch):
    with pytest.raises(Corrupt, match="larger"):
        opened(tar(("a", b"x" * 100))).read("a", 99)
    monkeypatch.setattr(tarfiles, "_MOST_ENTRIES", 10)
    with pytest.raises(HostileArchive):
        opened(tar(*((f"f{number}", b"") for number in range(11))))


def test_what_is_cut_off_is_told(opened):
    whole = tar(("a", b"x" * 10_000))
    with pytest.raises(Corrupt, match="cut off"):
        opened(whole[:2000]).read("a", 100_000)
    with pytest.raises(Corrupt):
        opened(gzip.compress(whole)[:-20])
    with pytest.raises(Corrupt, match="not a tar archive"):
        opened(b"nonsense" * 1000)


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{", b"5", b"[5]", b'[{"Config":5}]', b'[{"Config":"c","Layers":[5]}]', b"[" * 100_000, b'[{"Layers":[]}]'],
)
def test_a_malformed_list_of_images(opened, manifest):
    with pytest.raises(Corrupt):
        archived_images(opened(tar(("manifest.json", manifest))))


def test_archives_of_old_are_refused_with_what_to_do(opened):
    with pytest.raises(Unsupported, match=r"1\.10"):
        archived_images(opened(tar(("repositories", b"{}"))))


@pytest.mark.parametrize("config", [b"{}", b"nonsense", b'{"rootfs":{"diff_ids":["sha256:zz"]}}'])
def test_a_configuration_that_does_not_fit(opened, config):
    archive = opened(tar(("c", config), ("l", b"layer"), ("manifest.json", b'[{"Config":"c","Layers":["l"]}]')))
    with pytest.raises(Corrupt):
        DockerArchiveSource(archive, archived_images(archive)[0]).top()


@given(data=some.binary(max_size=2000), position=some.integers(0, 3000))
def test_any_damage_is_an_error_in_words(tmp_path_factory, data, position):
    whole = bytearray(tar(("manifest.json", b'[{"Config":"c","Layers":[]}]'), ("c", b"{}")))
    whole[position : position + len(data)] = data
    path = tmp_path_factory.mktemp("damaged") / "archive"
    path.write_bytes(bytes(whole))
    try:
        archive = open_archive(open(path, "rb"), "the archive", str(path.parent))
        for image in archived_images(archive):
            DockerArchiveSource(archive, image).top()
    except WherryError:
        pass
