"""The registry client against a registry that lies, leads astray and cuts."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from wherry.base.errors import Corrupt, Denied, NotFound, Unavailable
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import sha256_digest
from wherry.oci.reference import parse_reference
from wherry.transfer import Credentials, RegistryClient
from wherry.transfer.client import _is_loopback


class Registry:
    """Answers as `answers` says: path to (status, headers, body), or a function of the handler."""

    def __init__(self):
        self.answers, self.seen = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.seen.append((self.path, dict(self.headers)))
                answer = outer.answers.get(self.path.partition("?")[0], (404, {}, b"{}"))
                status, headers, body = answer(self) if callable(answer) else answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = "Content-Length" in headers

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def registry():
    server = Registry()
    yield server
    server.close()


@pytest.fixture
def other():
    server = Registry()
    yield server
    server.close()


def client(registry, tmp_path, auth=""):
    if auth:
        entry = {"auth": base64.b64encode(auth.encode()).decode()}
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.address: entry}}))
    reference = parse_reference(f"{registry.address}/a/b:1")
    return RegistryClient(reference, Credentials({"DOCKER_CONFIG": str(tmp_path)}))


def test_the_token_flow(registry, tmp_path):
    def manifest(handler):
        if handler.headers.get("Authorization") != "Bearer secret-token":
            realm = f'Bearer realm="http://{registry.address}/token",service="s",scope="repository:a/b:pull"'
            return 401, {"WWW-Authenticate": realm}, b"{}"
        return 200, {"Content-Type": "application/x"}, b"manifest"

    registry.answers = {"/v2/a/b/manifests/1": manifest, "/token": (200, {}, b'{"token":"secret-token"}')}
    assert client(registry, tmp_path, "ana:pw").manifest("1")[2] == b"manifest"
    asked = next((path, headers) for path, headers in registry.seen if path.startswith("/token"))
    assert "scope=repository%3Aa%2Fb%3Apull" in asked[0]
    assert asked[1]["Authorization"] == "Basic " + base64.b64encode(b"ana:pw").decode()


def test_no_credentials_go_where_a_redirect_leads(registry, other, tmp_path):
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{other.address}/token",service="s"'}
    other.answers = {"/stolen": (401, challenge, b"{}"), "/token": (200, {}, b'{"token":"t"}')}
    registry.answers = {"/v2/a/b/manifests/1": (307, {"Location": f"http://{other.address}/stolen"}, b"")}
    with pytest.raises(Denied):
        client(registry, tmp_path, "ana:pw").manifest("1")
    assert not any("Authorization" in headers for _, headers in other.seen)


def test_names_that_look_like_loopback_are_not():
    assert all(map(_is_loopback, ("127.0.0.1:5000", "localhost", "LOCALHOST:1", "[::1]:5000")))
    assert not any(map(_is_loopback, ("127.evil.example", "127.0.0.1.evil.example:80", "registry:5000")))


def test_a_download_that_is_cut_goes_on_where_it_was(registry, tmp_path):
    data = bytes(range(256)) * 100

    def blob(handler):
        if handler.headers.get("Range"):
            start = int(handler.headers["Range"][6:].partition("-")[0])
            return 206, {}, data[start:]
        return 200, {"Content-Length": str(len(data))}, data[:10_000]

    digest = sha256_digest(data)
    registry.answers = {f"/v2/a/b/blobs/{digest}": blob}
    got = bytearray()
    client(registry, tmp_path).blob(Descriptor("x", digest, len(data)), got.extend, lambda _: None)
    assert bytes(got) == data


def test_a_full_disk_is_not_taken_for_a_cut(registry, tmp_path):
    digest = sha256_digest(b"data")
    registry.answers = {f"/v2/a/b/blobs/{digest}": (200, {}, b"data")}

    def full(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        client(registry, tmp_path).blob(Descriptor("x", digest, 4), full, lambda _: None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, {}, b'{"errors":[{"message":"unknown"}]}'), NotFound),
        ((404, {}, b'{"errors":5}'), NotFound),
        ((403, {}, b""), Denied),
        ((400, {}, b"nonsense"), Unavailable),
        ((302, {"Location": "https://[evil"}, b""), Unavailable),
        ((302, {"Location": "ftp://x/"}, b""), Denied),
        ((200, {"Content-Length": "100"}, b"short"), Unavailable),
    ],
)
def test_every_other_answer_is_an_error_in_words(registry, tmp_path, answer, error):
    registry.answers = {"/v2/a/b/manifests/1": answer}
    with pytest.raises(error):
        client(registry, tmp_path).manifest("1")


def test_a_manifest_by_digest_is_checked(registry, tmp_path):
    digest = sha256_digest(b"right")
    registry.answers = {f"/v2/a/b/manifests/{digest}": (200, {}, b"wrong")}
    with pytest.raises(Corrupt):
        client(registry, tmp_path).manifest(digest)
