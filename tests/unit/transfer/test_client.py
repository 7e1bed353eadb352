"""The registry client against a registry that lies, leads astray and cuts."""

import base64
import json
import socket

import pytest

from fakeregistry import Scripted, Working
from wherry.base.errors import Corrupt, Denied, NotFound, Unavailable, Unsupported
from wherry.oci.descriptor import Descriptor, parse_document
from wherry.oci.digest import sha256_digest
from wherry.oci.reference import parse_reference
from wherry.transfer import Credentials, Login, RegistryClient, RegistrySettings
from wherry.transfer import client as client_module
from wherry.transfer.arriving import BlobReader
from wherry.transfer.auth import Challenge, parse_challenges


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """No test waits: what would have been waited for is noted."""
    taken = []
    monkeypatch.setattr(client_module.time, "sleep", taken.append)
    return taken


@pytest.fixture
def registry():
    server = Scripted()
    yield server
    server.close()


@pytest.fixture
def other():
    server = Scripted()
    yield server
    server.close()


def client(registry, tmp_path, auth="", name="a/b:1", **entry):
    if auth:
        entry["auth"] = base64.b64encode(auth.encode()).decode()
    if entry:
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.address: entry}}))
    reference = parse_reference(f"{registry.address}/{name}")
    return RegistryClient(reference, Credentials({"DOCKER_CONFIG": str(tmp_path)}), RegistrySettings())


def fetch(client, data, size=None):
    reader = BlobReader(client, Descriptor("x", sha256_digest(data), len(data) if size is None else size))
    got = b""
    with reader:
        while piece := reader.read(1000):
            got += piece
    return got


def path(data):
    return f"/v2/a/b/blobs/{sha256_digest(data)}"


def test_the_token_flow(registry, tmp_path):
    def manifest(handler):
        if handler.headers.get("Authorization") != "Bearer secret-token":
            realm = f'Bearer realm="http://{registry.address}/token",service="s",scope="repository:a/b:pull"'
            return 401, {"WWW-Authenticate": realm}, b"{}"
        return 200, {"Content-Type": "application/x"}, b"manifest"

    registry.answers = {"/v2/a/b/manifests/1": manifest, "/token": (200, {}, b'{"token":"secret-token"}')}
    talk = client(registry, tmp_path, "ana:pw")
    assert talk.manifest("1").data == b"manifest"
    assert talk.manifest("1").data == b"manifest"
    asked = [(path, headers) for path, headers in registry.seen if path.startswith("/token")]
    assert len(asked) == 1, "the token is kept"
    assert "scope=repository%3Aa%2Fb%3Apull" in asked[0][0]
    assert "account=ana" in asked[0][0]
    assert asked[0][1]["Authorization"] == "Basic " + base64.b64encode(b"ana:pw").decode()


def test_an_identity_token_is_exchanged_by_post(registry, tmp_path):
    forms = []

    def token(handler):
        forms.append(handler.body.decode())
        return 200, {}, b'{"access_token":"t"}'

    def manifest(handler):
        if handler.headers.get("Authorization") != "Bearer t":
            return 401, {"WWW-Authenticate": f'Bearer realm="http://{registry.address}/token",service="s"'}, b""
        return 200, {}, b"m"

    registry.answers = {"/v2/a/b/manifests/1": manifest, "/token": token}
    client(registry, tmp_path, "ana:", identitytoken="refresh").manifest("1")
    assert "grant_type=refresh_token" in forms[0]
    assert "refresh_token=refresh" in forms[0]
    assert "scope=repository%3Aa%2Fb%3Apull" in forms[0]


def test_mounting_asks_for_both_repositories(registry, tmp_path):
    def start(handler):
        if "Authorization" not in handler.headers:
            return 401, {"WWW-Authenticate": f'Bearer realm="http://{registry.address}/token",service="s"'}, b""
        return 201, {}, b""

    registry.answers = {"/v2/a/b/blobs/uploads/": start, "/token": (200, {}, b'{"token":"t"}')}
    assert client(registry, tmp_path).start_upload(sha256_digest(b""), "c/d") == ""
    asked = next(path for path, _ in registry.seen if path.startswith("/token"))
    assert "scope=repository%3Aa%2Fb%3Apull%2Cpush" in asked
    assert "scope=repository%3Ac%2Fd%3Apull" in asked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Basic realm="a, b"', [Challenge("basic", {"realm": "a, b"})]),
        (
            'Bearer realm="https://x/t",service=reg,scope="repository:a:pull,push", Basic realm="y"',
            [
                Challenge("bearer", {"realm": "https://x/t", "service": "reg", "scope": "repository:a:pull,push"}),
                Challenge("basic", {"realm": "y"}),
            ],
        ),
        (r'Bearer realm="a\"b"', [Challenge("bearer", {"realm": 'a"b'})]),
        ("Negotiate", [Challenge("negotiate", {})]),
        ("", []),
        ('="', []),
    ],
)
def test_challenges_are_read_as_they_are_written(text, expected):
    assert parse_challenges(text) == expected


@pytest.mark.parametrize("realm", ["http://evil.example/token", "ftp://x/", "//x", "https://u:p@x/", "http://[", ""])
def test_credentials_do_not_go_to_an_unsafe_token_server(registry, tmp_path, realm):
    registry.answers = {"/v2/a/b/manifests/1": (401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}, b"")}
    with pytest.raises(Denied, match="not safe"):
        client(registry, tmp_path, "ana:pw").manifest("1")


def test_a_registry_with_tls_may_not_send_credentials_to_a_token_server_without():
    from wherry.transfer.auth import Authenticator
    from wherry.transfer.transport import Origin

    authenticator = Authenticator(Origin("https", "reg.example"), None, lambda: None, lambda host: True)
    with pytest.raises(Denied, match="not safe"):
        authenticator.sign_in({"realm": "http://127.0.0.1/token"}, Login("ana", "pw"))


def test_wrong_credentials_are_told(registry, tmp_path):
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{registry.address}/token"'}
    refused = (401, {}, b'{"details":"incorrect username or password"}')
    registry.answers = {"/v2/a/b/manifests/1": (401, challenge, b""), "/token": refused}
    with pytest.raises(Denied, match="incorrect username or password"):
        client(registry, tmp_path, "ana:pw").manifest("1")


def test_no_credentials_go_where_a_redirect_leads(registry, other, tmp_path):
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{other.address}/token",service="s"'}
    other.answers = {"/stolen": (401, challenge, b"{}"), "/token": (200, {}, b'{"token":"t"}')}
    registry.answers = {"/v2/a/b/manifests/1": (307, {"Location": f"http://{other.address}/stolen"}, b"")}
    with pytest.raises(Denied):
        client(registry, tmp_path, "ana:pw").manifest("1")
    assert not any("Authorization" in headers for _, headers in other.seen)


def test_a_token_does_not_follow_a_blob_to_its_storage(registry, other, tmp_path):
    def blob(handler):
        if "Authorization" not in handler.headers:
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return 307, {"Location": f"http://{other.address}/storage?signature=1"}, b""

    other.answers = {"/storage": (200, {}, b"data")}
    registry.answers = {path(b"data"): blob}
    assert fetch(client(registry, tmp_path, "ana:pw"), b"data") == b"data"
    assert [name for name, headers in other.seen if "Authorization" in headers] == []


def test_an_upload_that_goes_on_elsewhere_takes_no_credentials_along(registry, other, tmp_path):
    def start(handler):
        if "Authorization" not in handler.headers:
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return 202, {"Location": f"http://{other.address}/put?a=1"}, b""

    registry.answers = {"/v2/a/b/blobs/uploads/": start}
    other.answers = {"/put": (201, {}, b"")}
    talk = client(registry, tmp_path, "ana:pw")
    talk.finish_upload(talk.start_upload(), sha256_digest(b"x"), b"x", 1)
    (where, headers) = other.seen[0]
    assert where == f"/put?a=1&digest={sha256_digest(b'x')}"
    assert "Authorization" not in headers


def test_a_download_that_is_cut_goes_on_where_it_was(registry, tmp_path):
    data = bytes(range(256)) * 100

    def blob(handler):
        start = int(handler.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        headers = {"Content-Length": str(len(data) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return (206 if start else 200), headers, data[start : start + 10_000]

    registry.answers = {path(data): blob}
    assert fetch(client(registry, tmp_path), data) == data
    assert [headers.get("Range") for _, headers in registry.seen] == [None, "bytes=10000-", "bytes=20000-"]


def test_a_registry_without_ranges_is_read_again_from_the_beginning(registry, tmp_path):
    data, tries = bytes(range(256)) * 100, []

    def blob(_):
        tries.append(1)
        return 200, {"Content-Length": str(len(data))}, data if len(tries) > 1 else data[:10_000]

    registry.answers = {path(data): blob}
    assert fetch(client(registry, tmp_path), data) == data


def test_another_part_than_was_asked_for_is_refused(registry, tmp_path):
    data = bytes(1000)

    def blob(handler):
        if "Range" in handler.headers:
            return 206, {"Content-Range": "bytes 0-999/1000", "Content-Length": "1000"}, data
        return 200, {"Content-Length": "1000"}, data[:500]

    registry.answers = {path(data): blob}
    with pytest.raises(Corrupt, match="another part"):
        fetch(client(registry, tmp_path), data)


def test_a_connection_that_is_cut_again_and_again_is_given_up(registry, tmp_path):
    registry.answers = {path(b"data"): (200, {"Content-Length": "4"}, b"")}
    with pytest.raises(Unavailable, match="cut off"):
        fetch(client(registry, tmp_path), b"data")


@pytest.mark.parametrize(
    "answer",
    [(200, {"Content-Length": "5"}, b"data!"), (200, {"Transfer-Encoding": "x"}, b"data"), (200, {}, b"dat")],
)
def test_sizes_that_are_wrong_are_told_before_a_byte_is_used(registry, tmp_path, answer):
    registry.answers = {path(b"data"): answer}
    with pytest.raises(Corrupt if "Transfer-Encoding" not in answer[1] else (Corrupt, Unavailable, AssertionError)):
        assert fetch(client(registry, tmp_path), b"data", 4) == b"no"


def test_a_body_without_end_is_left_at_its_announced_size(registry, tmp_path):
    def endless(handler):
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(65536))
        except OSError:
            handler.close_connection = True
        return 200, {"Content-Length": "0"}, b""

    registry.answers = {path(bytes(10)): endless, "/v2/a/b/manifests/1": endless}
    with pytest.raises(Corrupt, match="more than its"):
        fetch(client(registry, tmp_path), bytes(10))
    with pytest.raises(Corrupt, match="larger than"):
        client(registry, tmp_path).manifest("1")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_registry_that_is_busy_is_asked_again(registry, tmp_path, status, pauses):
    answers = [(status, {"Retry-After": "7"}, b""), (status, {}, b""), (200, {}, b"m")]
    registry.answers = {"/v2/a/b/manifests/1": lambda _: answers.pop(0)}
    assert client(registry, tmp_path).manifest("1").data == b"m"
    assert pauses == [7.0, 0.5]


def test_the_pause_that_is_asked_for_has_an_end(registry, tmp_path, pauses):
    registry.answers = {"/v2/a/b/manifests/1": (429, {"Retry-After": "999999999999"}, b'{"errors":[{"code":"X"}]}')}
    with pytest.raises(Unavailable, match="429 x"):
        client(registry, tmp_path).manifest("1")
    assert set(pauses) == {30.0}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, {}, b'{"errors":[{"message":"unknown"}]}'), NotFound),
        ((404, {}, b'{"errors":5}'), NotFound),
        ((403, {}, b""), Denied),
        ((401, {}, b""), Denied),
        ((400, {}, b"nonsense"), Unavailable),
        ((302, {"Location": "https://[evil"}, b""), Unavailable),
        ((302, {"Location": "ftp://x/"}, b""), Denied),
        ((302, {"Location": "/v2/a/b/manifests/1"}, b""), Unavailable),
        ((200, {"Content-Length": "100"}, b"short"), Unavailable),
    ],
)
def test_every_other_answer_is_an_error_in_words(registry, tmp_path, answer, error):
    registry.answers = {"/v2/a/b/manifests/1": answer}
    with pytest.raises(error):
        client(registry, tmp_path).manifest("1")


def test_words_of_a_registry_cannot_steer_a_terminal(registry, tmp_path):
    registry.answers = {"/v2/a/b/manifests/1": (404, {}, b'{"errors":[{"message":"\\u001b[2Jgone"}]}')}
    with pytest.raises(NotFound) as raised:
        client(registry, tmp_path).manifest("1")
    assert "\x1b" not in raised.value.message


def test_a_manifest_by_digest_is_checked(registry, tmp_path):
    digest = sha256_digest(b"right")
    registry.answers = {f"/v2/a/b/manifests/{digest}": (200, {}, b"wrong")}
    with pytest.raises(Corrupt):
        client(registry, tmp_path).manifest(digest)


def test_schema_1_is_refused_with_what_to_do(registry, tmp_path):
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    registry.answers = {"/v2/a/b/manifests/1": (200, {"Content-Type": kind}, b'{"schemaVersion":1}')}
    document = client(registry, tmp_path).manifest("1")
    with pytest.raises(Unsupported, match="schema version 1"):
        parse_document(document.data, document.media_type)


def test_tags_come_page_by_page(tmp_path):
    server = Working()
    try:
        for number in range(5):
            server.put_manifest("a/b", "x", b"{}", f"t{number}")
        assert client(server, tmp_path).tags() == ["t0", "t1", "t2", "t3", "t4"]
    finally:
        server.close()


def test_tags_without_end_are_given_up(registry, tmp_path):
    link = {"Link": '</v2/a/b/tags/list>; rel="next"'}
    registry.answers = {"/v2/a/b/tags/list": (200, link, b'{"tags":["a"]}')}
    with pytest.raises(Unavailable, match="without end"):
        client(registry, tmp_path).tags()


def test_a_registry_that_stores_something_else_is_told(registry, tmp_path):
    wrong = {"Docker-Content-Digest": sha256_digest(b"other")}
    registry.answers = {"/put": (201, wrong, b"")}
    with pytest.raises(Corrupt, match="stored"):
        client(registry, tmp_path).finish_upload("/put", sha256_digest(b"x"), b"x", 1)


def test_nobody_there_is_told_at_once(tmp_path, pauses):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        reference = parse_reference(f"127.0.0.1:{probe.getsockname()[1]}/a")
    with pytest.raises(Unavailable, match=r"cannot reach 127.0.0.1:[0-9]+: Connection refused"):
        RegistryClient(reference, Credentials({"HOME": str(tmp_path)})).manifest("1")
    assert pauses == []
