"""Every place that images come from or go to keeps the contract of `transfer/endpoints.py`."""

import gzip
import io
import json
import os
import tarfile

import pytest

from fakeregistry import Working
from wherry.base.errors import Corrupt, NotFound, Unsupported, WherryError
from wherry.base.progress import nobody
from wherry.oci.config import ImageConfig, encode_config
from wherry.oci.descriptor import Descriptor, Index, Manifest, parse_document
from wherry.oci.digest import sha256_digest
from wherry.oci.media_types import CONFIG, LAYER, LAYER_GZIP
from wherry.oci.platform import Platform
from wherry.oci.reference import parse_reference
from wherry.transfer import (
    Credentials,
    Document,
    RegistryClient,
    RegistryDestination,
    RegistrySource,
    copy_image,
)
from wherry.transfer.copying import read_blob
from wherry.transfer.dockerarchive import DockerArchiveDestination, DockerArchiveSource, archived_images
from wherry.transfer.layout import LayoutDestination, LayoutSource, open_directory
from wherry.transfer.ociarchive import LayoutArchiveDestination
from wherry.transfer.tarfiles import open_archive

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def tar_of(**files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


class Memory:
    """A source whose blobs are in memory; `lies` are blobs that are given in the place of others."""

    def __init__(self, platforms=(AMD64,), *, compress=True, layers=2):
        self.blobs, self.lies, self.documents, entries = {}, {}, {}, []
        for platform in platforms:
            plain = [tar_of(**{f"{platform.architecture}{n}": os.urandom(20_000)}) for n in range(layers)]
            diff_ids = tuple(map(sha256_digest, plain))
            config = self.add(CONFIG, encode_config(ImageConfig(platform.architecture, rootfs=diff_ids)))
            stored = [
                self.add(LAYER_GZIP, gzip.compress(layer, mtime=0)) if compress else self.add(LAYER, layer)
                for layer in plain
            ]
            data = Manifest(config, tuple(stored)).encode()
            document = Document(Manifest(config, ()).media_type, sha256_digest(data), data)
            self.documents[document.digest] = document
            entries.append(document.descriptor._replace(platform=platform))
        self._top = document
        if len(platforms) > 1:
            data = Index(tuple(entries)).encode()
            self._top = Document(Index(()).media_type, sha256_digest(data), data)

    def add(self, media_type, data):
        self.blobs[sha256_digest(data)] = data
        return Descriptor(media_type, sha256_digest(data), len(data))

    def top(self):
        return self._top

    def document(self, descriptor):
        return self.documents[descriptor.digest]

    def open(self, descriptor):
        return io.BytesIO(self.lies.get(descriptor.digest, self.blobs[descriptor.digest]))

    def places(self, digest, registry):
        return ()

    def stop(self):
        pass


class Place:
    """One kind of place: a fresh destination, and the source that then finds what was put there."""

    def __init__(self, directory, kind):
        self.directory, self.kind = directory, kind
        self.keeps_bytes = kind != "docker-archive"
        self.server = Working() if kind == "registry" else None

    def client(self, name="a/b:1"):
        return RegistryClient(parse_reference(f"{self.server.address}/{name}"), Credentials({"HOME": "/nowhere"}))

    def destination(self, name="1"):
        path = f"{self.directory}/{self.kind}"
        if self.kind == "registry":
            return RegistryDestination(self.client(f"a/b:{name}"))
        if self.kind == "layout":
            return LayoutDestination(path, name)
        if self.kind == "oci-archive":
            return LayoutArchiveDestination(path, name)
        return DockerArchiveDestination(path, parse_reference("a/b:1"))

    def source(self, name="1"):
        path = f"{self.directory}/{self.kind}"
        if self.kind == "registry":
            return RegistrySource(self.client(f"a/b:{name}"))
        if self.kind == "layout":
            return LayoutSource(open_directory(path), name, path)
        archive = open_archive(open(path, "rb"), path, str(self.directory))
        if self.kind == "oci-archive":
            return LayoutSource(archive.open, name, path)
        return DockerArchiveSource(archive, archived_images(archive)[0])


@pytest.fixture(params=["registry", "layout", "oci-archive", "docker-archive"])
def place(request, tmp_path):
    made = Place(tmp_path, request.param)
    yield made
    if made.server:
        made.server.close()


def contents(source):
    """Configuration and uncompressed layers of what a source names."""
    manifest = parse_document(source.top().data)
    blobs = [read_blob(source, each) for each in (manifest.config, *manifest.layers)]
    return [gzip.decompress(blob) if blob.startswith(b"\x1f\x8b") else blob for blob in blobs]


@pytest.mark.parametrize("compress", [True, False])
def test_what_goes_in_comes_out(place, compress):
    memory = Memory(compress=compress)
    copied = copy_image(memory, place.destination(), nobody, platform=AMD64)
    assert contents(place.source()) == contents(memory)
    if place.keeps_bytes:
        assert place.source().top() == memory.top() == copied


def test_the_same_layer_twice_is_no_trouble(place):
    memory = Memory(layers=1, compress=False)
    manifest = parse_document(memory.top().data)
    config = encode_config(ImageConfig("amd64", rootfs=(manifest.layers[0].digest,) * 3))
    data = Manifest(memory.add(CONFIG, config), manifest.layers * 3).encode()
    memory._top = Document(manifest.media_type, sha256_digest(data), data)
    copy_image(memory, place.destination(), nobody, platform=AMD64)
    assert contents(place.source()) == contents(memory)


def test_one_image_of_an_index_or_all_of_them(place):
    memory = Memory((AMD64, ARM64))
    copied = copy_image(memory, place.destination(), nobody, platform=ARM64)
    assert copied.digest == list(memory.documents)[1]
    if place.kind in ("registry", "layout"):
        copy_image(memory, place.destination("all"), nobody, platform=AMD64, everything=True)
        source = place.source("all")
        assert source.top() == memory.top()
        for each in parse_document(source.top().data).manifests:
            assert source.document(each) == memory.documents[each.digest]
    elif place.kind == "docker-archive":
        os.unlink(f"{place.directory}/{place.kind}")
        with pytest.raises(Unsupported):
            copy_image(memory, place.destination(), nobody, platform=AMD64, everything=True)


@pytest.mark.parametrize("lie", ["other", "shorter", "longer"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_bytes_that_are_not_what_was_announced_are_refused(place, lie, which):
    memory = Memory()
    manifest = parse_document(memory.top().data)
    victim = (manifest.config, *manifest.layers)[which]
    right = memory.blobs[victim.digest]
    memory.lies[victim.digest] = {"other": bytes(len(right)), "shorter": right[:-1], "longer": right + b"x"}[lie]
    with pytest.raises(WherryError):
        copy_image(memory, place.destination(), nobody, platform=AMD64)
    with pytest.raises((WherryError, OSError)):
        contents(place.source())


def test_what_is_not_there_is_told(place):
    copy_image(Memory(), place.destination(), nobody, platform=AMD64)
    if place.kind != "docker-archive":
        with pytest.raises(NotFound):
            place.source("2").top()


def test_an_index_that_names_itself_too_deep_is_refused(tmp_path):
    memory = Memory()
    inner = memory.top()
    for _ in range(6):
        data = Index((inner.descriptor._replace(platform=AMD64),)).encode()
        inner = Document(Index(()).media_type, sha256_digest(data), data)
        memory.documents[inner.digest] = inner
    memory._top = inner
    for everything in (True, False):
        destination = LayoutDestination(f"{tmp_path}/layout", "1")
        with pytest.raises(Corrupt, match="deep"):
            copy_image(memory, destination, nobody, platform=AMD64, everything=everything)


def test_archives_are_the_same_bytes_for_the_same_image(tmp_path):
    memory = Memory()
    for kind in ("oci-archive", "docker-archive"):
        written = []
        for number in range(2):
            directory = tmp_path / f"{kind}{number}"
            directory.mkdir()
            copy_image(memory, Place(directory, kind).destination(), nobody, platform=AMD64)
            written.append((directory / kind).read_bytes())
            assert os.listdir(directory) == [kind], "nothing is left beside it"
        assert written[0] == written[1]


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_an_archive_is_not_written_over(tmp_path, kind):
    (tmp_path / kind).write_text("mine")
    with pytest.raises(WherryError, match="exists already"):
        Place(tmp_path, kind).destination()
    (tmp_path / "other" / kind).mkdir(parents=True)
    with pytest.raises(WherryError, match="exists already"):
        Place(tmp_path / "other", kind).destination()


def test_a_layout_keeps_its_other_images_and_is_never_overwritten_by_mistake(tmp_path):
    place, one, two = Place(tmp_path, "layout"), Memory(), Memory()
    copy_image(one, place.destination("one"), nobody, platform=AMD64)
    copy_image(two, place.destination("two"), nobody, platform=AMD64)
    copy_image(two, place.destination("one"), nobody, platform=AMD64)
    index = json.loads((tmp_path / "layout/index.json").read_text())
    names = [each["annotations"]["org.opencontainers.image.ref.name"] for each in index["manifests"]]
    assert sorted(names) == ["one", "two"]
    assert {each["digest"] for each in index["manifests"]} == {two.top().digest}
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("mine")
    with pytest.raises(WherryError, match="not empty"):
        copy_image(one, LayoutDestination(f"{tmp_path}/other", "1"), nobody, platform=AMD64)
