"""Pushing: what is sent, what is not, and in which form."""

import io
import re
import ssl
import subprocess

import pytest

from fakeregistry import Working
from wherry.base.errors import Corrupt, Denied, Unavailable
from wherry.base.progress import Turned, nobody
from wherry.oci.config import ImageConfig, encode_config
from wherry.oci.descriptor import Descriptor, Manifest, parse_document
from wherry.oci.digest import sha256_digest
from wherry.oci.media_types import CONFIG, LAYER, LAYER_GZIP
from wherry.oci.platform import Platform
from wherry.oci.reference import parse_reference
from wherry.transfer import (
    Credentials,
    Document,
    Login,
    RegistryClient,
    RegistryDestination,
    RegistrySettings,
    copy_image,
)
from wherry.transfer import client as client_module
from wherry.transfer.endpoints import Forgetful

LINUX = Platform("linux", "amd64")


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    taken = []
    monkeypatch.setattr(client_module.time, "sleep", taken.append)
    return taken


@pytest.fixture
def registry():
    server = Working()
    yield server
    server.close()


class Image:
    """A built image: layers that are stored plain."""

    def __init__(self, *layers):
        self.blobs = {}
        stored = [self.add(LAYER, layer) for layer in layers]
        config = self.add(CONFIG, encode_config(ImageConfig("amd64", rootfs=tuple(each.digest for each in stored))))
        data = Manifest(config, tuple(stored)).encode()
        self._top = Document(Manifest(config, ()).media_type, sha256_digest(data), data)

    def add(self, media_type, data):
        self.blobs[sha256_digest(data)] = data
        return Descriptor(media_type, sha256_digest(data), len(data))

    def top(self):
        return self._top

    def open(self, descriptor):
        return io.BytesIO(self.blobs[descriptor.digest])

    def places(self, digest, registry):
        return ()

    def stop(self):
        pass


class Remembering(Forgetful):
    def __init__(self):
        self.forms, self.where = {}, []

    def form(self, diff_id, compression):
        return self.forms.get((diff_id, compression))

    def remember(self, diff_id, descriptor):
        self.forms[diff_id, descriptor.media_type.rpartition("+")[2]] = descriptor

    def places(self, digest, registry):
        return [repository for known, repository in self.where if known == digest]

    def placed(self, digest, registry, repository):
        self.where.append((digest, repository))


def client(registry, name="a/b:1", login=None, directory="/nowhere", **settings):
    credentials = Credentials({"DOCKER_CONFIG": str(directory)})
    if login:
        credentials.store(registry.address, login)
    reference = parse_reference(f"{registry.address}/{name}")
    return RegistryClient(reference, credentials, RegistrySettings(**settings))


def push(registry, image, sink=nobody, memory=None, compression="gzip", **more):
    destination = RegistryDestination(client(registry, **more), compression=compression, memory=memory)
    return copy_image(image, destination, sink, platform=LINUX)


def methods(registry):
    return [method for method, _, _ in registry.requests]


def test_a_push_compresses_and_the_tag_comes_last(registry):
    image = Image(b"layer" * 100_000, b"other" * 1000)
    sent = push(registry, image)
    manifest = parse_document(sent.data)
    assert [layer.media_type for layer in manifest.layers] == [LAYER_GZIP] * 2
    assert registry.manifests["a/b", "1"][1] == sent.data
    assert methods(registry)[-2:] == ["PUT", "PUT"]
    assert registry.requests[-1][1] == "/v2/a/b/manifests/1"


def test_sending_begins_before_the_layer_is_compressed_to_its_end(registry):
    push(registry, Image(b"layer" * 100_000))
    patch = next(headers for method, _, headers in registry.requests if method == "PATCH")
    assert patch["Transfer-Encoding"] == "chunked"


@pytest.mark.parametrize(("compression", "kind"), [("zstd", "+zstd"), ("gzip", "+gzip"), ("", ".tar")])
def test_the_compression_is_the_users_choice(registry, compression, kind):
    sent = push(registry, Image(b"layer" * 1000), compression=compression)
    assert parse_document(sent.data).layers[0].media_type.endswith(kind)


def test_a_second_push_sends_and_compresses_nothing(registry):
    image, memory, states = Image(b"one" * 1000, b"two" * 1000), Remembering(), []
    first = push(registry, image, memory=memory)
    del registry.requests[:]

    def note(event):
        if isinstance(event, Turned):
            states.append(event.state)

    image.open = None  # whoever would read a layer fails
    assert push(registry, image, note, memory=memory) == first
    assert states == ["Layer already exists"] * 2
    assert set(methods(registry)) == {"HEAD", "PUT"}


def test_what_a_neighbour_has_is_mounted(registry):
    image, memory = Image(b"one" * 1000), Remembering()
    first = push(registry, image, memory=memory)
    del registry.requests[:]
    assert push(registry, image, memory=memory, name="c/d:1") == first
    assert not [path for method, path, _ in registry.requests if method == "PATCH"]


def test_what_a_neighbour_has_no_more_is_sent(registry):
    image, memory = Image(b"one" * 1000), Remembering()
    push(registry, image, memory=memory)
    registry.links.clear()
    push(registry, image, memory=memory, name="c/d:1")
    posts = [path for method, path, _ in registry.requests if method == "POST" and path.startswith("/v2/c/d")]
    assert len(posts) == 2, "the upload that the mount became is used; the other is the configuration's"


def test_the_same_image_gives_the_same_manifest_everywhere(registry):
    image, other = Image(b"one" * 1_000_000), Working()
    try:
        assert push(registry, image) == push(other, image)
    finally:
        other.close()


def test_a_layer_that_is_damaged_here_is_not_sent(registry):
    image = Image(b"one" * 1000)
    layer = parse_document(image.top().data).layers[0]
    image.blobs[layer.digest] = b"two" * 1000
    with pytest.raises(Corrupt):
        push(registry, image)
    assert not registry.manifests


@pytest.mark.parametrize("status", [500, 503])
def test_an_upload_that_fails_begins_again(registry, status):
    failures = [status, status]

    def before(handler):
        if handler.command == "PATCH" and failures:
            handler.read_body()
            return failures.pop(), {}, b""
        return None

    registry.before = before
    push(registry, Image(b"one" * 1000))
    assert ("a/b", "1") in registry.manifests


def test_a_connection_that_breaks_while_sending_begins_again(registry):
    breaks = [1]

    def before(handler):
        if handler.command == "PATCH" and breaks:
            breaks.pop()
            handler.connection.close()
            raise ConnectionAbortedError
        return

    registry.before = before
    registry._server.handle_error = lambda *_: None
    push(registry, Image(bytes(range(256)) * 100_000))
    assert ("a/b", "1") in registry.manifests


@pytest.mark.parametrize("status", [400, 405, 411, 501])
def test_a_registry_that_wants_to_know_the_size_is_told_it(registry, status):
    registry.before = lambda handler: (
        (handler.read_body(), (status, {}, b""))[1] if handler.command == "PATCH" else None
    )
    image = Image(b"one" * 100_000)
    sent = push(registry, image)
    registry.before = lambda handler: None
    other = Working()
    try:
        assert push(other, image) == sent
    finally:
        other.close()


def test_an_upload_that_fails_for_good_is_told(registry):
    registry.before = lambda handler: (handler.read_body(), (500, {}, b""))[1] if handler.command == "PATCH" else None
    with pytest.raises(Unavailable, match="500"):
        push(registry, Image(b"one" * 1000))
    assert not registry.manifests


@pytest.mark.parametrize("bearer", [True, False])
def test_who_may_push(bearer, tmp_path):
    registry = Working({"ana": "pw"}, bearer=bearer)
    try:
        with pytest.raises(Denied):
            push(registry, Image(b"one"))
        login = Login("ana", "pw")
        identity = client(registry, name="x").sign_in(login)
        assert identity == ("identity" if bearer else "")
        kept = login._replace(identity_token=identity)
        push(registry, Image(b"one"), login=kept, directory=tmp_path)
        assert ("a/b", "1") in registry.manifests
        with pytest.raises(Denied, match="unauthorized"):
            client(registry, name="x").sign_in(Login("ana", "wrong"))
    finally:
        registry.close()


def test_what_is_no_registry_cannot_be_logged_in_to(registry):
    registry.before = lambda handler: (404, {}, b"<html>")
    with pytest.raises(Unavailable, match="does not answer as a registry"):
        client(registry).sign_in(Login("ana", "pw"))


def test_many_layers_ask_for_one_token(tmp_path):
    registry = Working({"ana": "pw"}, bearer=True)
    try:
        image = Image(*(bytes([number]) * 1000 for number in range(12)))
        push(registry, image, login=Login("ana", "pw"), directory=tmp_path)
        assert len(registry.granted) == 1
    finally:
        registry.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """An authority, and the certificate of 127.0.0.1 that it signed."""
    at = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=at, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test", "-days", "2")
    openssl("req", *key, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=own")
    (at / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    sign = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2")
    openssl("x509", "-req", "-in", "own.csr", "-out", "own.crt", *sign)
    return at


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "own.crt", certificate / "own.key")
    server = Working(context=context)
    server._server.handle_error = lambda *_: None
    yield server
    server.close()


def test_a_registry_on_loopback_speaks_tls_where_it_can(secure):
    push(secure, Image(b"one"))
    assert ("a/b", "1") in secure.manifests


def test_a_registry_with_its_own_authority_is_checked_against_that(secure, certificate, tmp_path):
    own = tmp_path / secure.address
    own.mkdir()
    (own / "ca.crt").write_bytes((certificate / "ca.crt").read_bytes())
    push(secure, Image(b"one"), certificates=str(tmp_path))
    (own / "ca.crt").write_bytes((certificate / "own.crt").read_bytes())
    with pytest.raises(Unavailable, match="cannot trust") as raised:
        push(secure, Image(b"two"), certificates=str(tmp_path))
    assert f"{tmp_path}/{secure.address}/ca.crt" in raised.value.hint


def test_an_unknown_authority_is_refused_with_what_to_do(secure, monkeypatch):
    monkeypatch.setattr(client_module, "is_loopback", lambda host: False)
    with pytest.raises(Unavailable, match="cannot trust") as raised:
        push(secure, Image(b"one"))
    assert re.search(r"/etc/docker/certs\.d/127\.0\.0\.1:\d+/ca\.crt", raised.value.hint)


def test_no_plain_http_beyond_loopback_unless_configured(registry, monkeypatch):
    monkeypatch.setattr(client_module, "is_loopback", lambda host: False)
    with pytest.raises(Unavailable, match="answers without TLS") as raised:
        push(registry, Image(b"one"))
    assert f'insecure = ["{registry.address}"]' in raised.value.hint
    push(registry, Image(b"one"), insecure=(registry.address,))
    assert ("a/b", "1") in registry.manifests


def test_a_proxy_is_asked_for_registries_that_are_not_here(registry, monkeypatch):
    from wherry.transfer import proxies

    monkeypatch.setattr(proxies, "is_loopback", lambda host: False)
    environ = {"HTTP_PROXY": f"http://u:p@{registry.address}"}
    reference = parse_reference("registry.example:5000/a/b:1")
    settings = RegistrySettings(("registry.example:5000",), environ=environ)
    monkeypatch.setattr("wherry.transfer.transport.Transport.speaks_tls", lambda self, host: False)
    registry.put_manifest("a/b", "x", b"{}", "1")
    seen = []
    registry.before = lambda handler: (seen.append((handler.path, handler.headers["Proxy-Authorization"])), None)[1]
    got = RegistryClient(reference, Credentials({"HOME": "/nowhere"}), settings).manifest("1")
    assert got.data == b"{}"
    assert seen == [("http://registry.example:5000/v2/a/b/manifests/1", "Basic dTpw")]
