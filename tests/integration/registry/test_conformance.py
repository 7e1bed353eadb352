"""What the Open Container Initiative's conformance suite asserts, in its four categories, of a server over HTTP."""

import json
import os
import uuid

import pytest

from registry_server import CONFIG, INDEX, MANIFEST, digest_of, index_of, manifest_of

OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def ask(open_registry):
    return open_registry


@pytest.fixture
def repository():
    return f"conformance/{uuid.uuid4()}"


@pytest.fixture(params=["sha256", "sha512"])
def algorithm(request):
    return request.param


def begin(ask, repository, query=""):
    answer = ask("POST", f"/v2/{repository}/blobs/uploads/{query}", headers={"Content-Length": "0"})
    assert answer.status == 202
    return answer.headers["location"]


def with_digest(location, digest):
    return location + ("&" if "?" in location else "?") + f"digest={digest}"


def assert_blob(ask, repository, data, algorithm="sha256"):
    path = f"/v2/{repository}/blobs/{digest_of(data, algorithm)}"
    head, got = ask("HEAD", path), ask("GET", path)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(data)))
    assert (got.status, got.body, got.headers["content-length"]) == (200, data, str(len(data)))
    assert head.headers["docker-content-digest"] == got.headers["docker-content-digest"] == digest_of(data, algorithm)


def put_manifest(ask, repository, reference, data, media_type=MANIFEST):
    return ask("PUT", f"/v2/{repository}/manifests/{reference}", data, {"Content-Type": media_type})


def image(ask, repository, **fields):
    config, layer = b'{"architecture":"amd64","os":"linux"}', os.urandom(512)
    for data in (config, layer):
        ask.push_blob(repository, data)
    return manifest_of(config, [layer], **fields)


def test_the_api_is_there(ask):
    answer = ask("GET", "/v2/")
    assert answer.status == 200
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


# Push


def test_a_blob_in_one_post(ask, repository, algorithm):
    data = os.urandom(512)
    digest = digest_of(data, algorithm)
    answer = ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data, OCTETS)
    assert answer.status == 201
    assert answer.headers["docker-content-digest"] == digest
    assert ask("GET", answer.headers["location"]).body == data
    assert_blob(ask, repository, data, algorithm)


@pytest.mark.parametrize("query", ["", "?digest-algorithm=sha512"])
def test_a_blob_by_post_and_put(ask, repository, query):
    data = os.urandom(512)
    digest = digest_of(data, "sha512" if query else "sha256")
    answer = ask("PUT", with_digest(begin(ask, repository, query), digest), data, OCTETS)
    assert answer.status == 201
    assert ask("GET", answer.headers["location"]).body == data


@pytest.mark.parametrize("data", [b"", b"{}"])
def test_well_known_blobs(ask, repository, data, algorithm):
    location = begin(ask, repository)
    assert ask("PATCH", location, data, OCTETS).status == 202
    answer = ask("PUT", with_digest(location, digest_of(data, algorithm)), headers={"Content-Length": "0"})
    assert answer.status == 201
    assert_blob(ask, repository, data, algorithm)


def test_a_streamed_blob(ask, repository, algorithm):
    data = os.urandom(3_000_000)
    location = begin(ask, repository)
    parts = [data[:1_000_001], data[1_000_001:]]
    answer = ask("PATCH", location, iter(parts), OCTETS)
    assert (answer.status, answer.headers["range"]) == (202, f"0-{len(data) - 1}")
    answer = ask("PUT", with_digest(answer.headers["location"], digest_of(data, algorithm)))
    assert answer.status == 201
    assert_blob(ask, repository, data, algorithm)


@pytest.mark.parametrize("last_by_put", [False, True])
def test_chunks(ask, repository, algorithm, last_by_put):
    chunks = [os.urandom(1024), os.urandom(1024), os.urandom(1019)]
    data, sent = b"".join(chunks), 0
    location = begin(ask, repository)
    for number, chunk in enumerate(chunks):
        wrong = ask("PATCH", location, chunk, {**OCTETS, "Content-Range": f"{sent + 7}-{sent + 6 + len(chunk)}"})
        assert (wrong.status, wrong.code) == (416, "BLOB_UPLOAD_INVALID")
        status = ask("GET", location)
        assert (status.status, status.headers["range"]) == (204, f"0-{max(sent - 1, 0)}")
        location = status.headers["location"]
        headers = {**OCTETS, "Content-Range": f"{sent}-{sent + len(chunk) - 1}"}
        sent += len(chunk)
        if last_by_put and number == 2:
            answer = ask("PUT", with_digest(location, digest_of(data, algorithm)), chunk, headers)
        else:
            answer = ask("PATCH", location, chunk, headers)
            assert (answer.status, answer.headers["range"]) == (202, f"0-{sent - 1}")
            location = answer.headers["location"]
    if not last_by_put:
        answer = ask("PUT", with_digest(location, digest_of(data, algorithm)), headers={"Content-Length": "0"})
    assert answer.status == 201
    assert ask("GET", location).code == "BLOB_UPLOAD_UNKNOWN"
    assert_blob(ask, repository, data, algorithm)


def test_the_last_chunk_by_put_out_of_order_is_refused(ask, repository):
    location = begin(ask, repository)
    headers = {**OCTETS, "Content-Range": "5-9"}
    assert ask("PUT", with_digest(location, digest_of(b"abcde")), b"abcde", headers).status == 416


def test_a_digest_that_does_not_fit_is_refused_however_it_comes(ask, repository, algorithm):
    data, wrong = os.urandom(512), digest_of(b"other", algorithm)
    posted = ask("POST", f"/v2/{repository}/blobs/uploads/?digest={wrong}", data, OCTETS)
    assert (posted.status, posted.code) == (400, "DIGEST_INVALID")
    assert ask("PUT", with_digest(begin(ask, repository), wrong), data, OCTETS).code == "DIGEST_INVALID"
    location = begin(ask, repository)
    assert ask("PATCH", location, data, OCTETS).status == 202
    assert ask("PUT", with_digest(location, wrong)).code == "DIGEST_INVALID"
    assert ask("HEAD", f"/v2/{repository}/blobs/{wrong}").status == 404


@pytest.mark.parametrize("query", ["&from=other/{id}", ""])
def test_mount_from_another_repository(ask, repository, query):
    data, other = os.urandom(64), uuid.uuid4()
    digest = ask.push_blob(f"other/{other}", data)
    path = f"/v2/{repository}/blobs/uploads/?mount={digest}" + query.format(id=other)
    answer = ask("POST", path, headers={"Content-Length": "0"})
    assert answer.status == 201
    assert ask("GET", answer.headers["location"]).body == data


def test_mount_of_what_is_not_there_begins_an_upload(ask, repository):
    data = os.urandom(64)
    path = f"/v2/{repository}/blobs/uploads/?mount={digest_of(data)}&from=nobody/here"
    answer = ask("POST", path, headers={"Content-Length": "0"})
    assert answer.status == 202
    assert ask("PUT", with_digest(answer.headers["location"], digest_of(data)), data).status == 201


def test_a_cancelled_upload_is_gone(ask, repository):
    location = begin(ask, repository)
    assert ask("DELETE", location).status == 204
    assert (ask("GET", location).status, ask("GET", location).code) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_manifest_by_tag_and_by_digest(ask, repository):
    data = image(ask, repository)
    for reference in ("one", "two", digest_of(data)):
        answer = put_manifest(ask, repository, reference, data)
        assert (answer.status, answer.headers["docker-content-digest"]) == (201, digest_of(data))
        assert ask("GET", answer.headers["location"], headers={"Accept": MANIFEST}).body == data


def test_a_manifest_of_almost_four_megabytes(ask, repository):
    data = image(ask, repository, annotations={f"large-{number}": "A" * 10_000 for number in range(390)})
    assert len(data) > 3_900_000
    assert put_manifest(ask, repository, "large", data).status == 201
    assert ask("GET", f"/v2/{repository}/manifests/large").body == data
    too_large = put_manifest(ask, repository, "larger", data + b" " * 400_000)
    assert (too_large.status, too_large.code) == (413, "SIZE_INVALID")


def test_manifests_with_sha512_and_tags_in_the_query(ask, repository):
    config, layer = b"{}", os.urandom(100)
    for blob in (config, layer):
        location = begin(ask, repository)
        assert ask("PUT", with_digest(location, digest_of(blob, "sha512")), blob).status == 201
    data = manifest_of(config, [layer], algorithm="sha512")
    digest = digest_of(data, "sha512")
    answer = put_manifest(ask, repository, f"{digest}?tag=first&tag=second", data)
    assert answer.status == 201
    assert {each.strip() for each in answer.headers["oci-tag"].split(",")} == {"first", "second"}
    for reference in ("first", "second", digest):
        got = ask("GET", f"/v2/{repository}/manifests/{reference}")
        assert (got.body, got.headers["docker-content-digest"]) == (data, digest)


def test_indexes_nested_and_empty(ask, repository):
    first, second = image(ask, repository), image(ask, repository)
    for data in (first, second):
        put_manifest(ask, repository, digest_of(data), data)
    inner, empty = index_of(first, second), index_of()
    outer = index_of(inner, empty)
    for tag, data in (("inner", inner), ("empty", empty), ("outer", outer)):
        answer = put_manifest(ask, repository, tag, data, INDEX)
        assert answer.status == 201, answer
        got = ask("GET", f"/v2/{repository}/manifests/{tag}")
        assert (got.body, got.headers["content-type"]) == (data, INDEX)


def test_artifacts_data_fields_and_foreign_layers(ask, repository):
    ask.push_blob(repository, b"{}")
    without_layers = manifest_of(b"{}", [], artifactType="application/x")
    assert put_manifest(ask, repository, "artifact", without_layers).status == 201
    value = json.loads(image(ask, repository, x_custom={"any": "thing"}))
    value["config"]["data"] = "e30="
    assert put_manifest(ask, repository, "data", json.dumps(value).encode()).status == 201
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    layer = {"mediaType": foreign, "digest": digest_of(b"far"), "size": 3, "urls": ["https://store.example.com/far"]}
    value["layers"].insert(0, layer)
    assert put_manifest(ask, repository, "foreign", json.dumps(value).encode()).status == 201


def test_a_manifest_that_needs_what_is_missing_is_refused(ask, repository):
    answer = put_manifest(ask, repository, "x", manifest_of(b"not", [b"here"]))
    assert (answer.status, answer.code) == (404, "MANIFEST_BLOB_UNKNOWN")


@pytest.mark.parametrize(
    ("data", "media_type", "code"),
    [
        (b"no JSON", MANIFEST, "MANIFEST_INVALID"),
        (b"[]", MANIFEST, "MANIFEST_INVALID"),
        (b'{"schemaVersion":1}', MANIFEST, "MANIFEST_INVALID"),
        (manifest_of(b"{}", []), INDEX, "MANIFEST_INVALID"),
        (json.dumps({**json.loads(manifest_of(b"{}", [])), "manifests": []}).encode(), MANIFEST, "MANIFEST_INVALID"),
        (manifest_of(b"{}", []), "text/plain", "MANIFEST_INVALID"),
        (b"[" * 100_000, MANIFEST, "MANIFEST_INVALID"),
        (manifest_of(b"{}", []).replace(b'"size": 2', b'"size": ' + b"9" * 30), MANIFEST, "MANIFEST_INVALID"),
        (manifest_of(b"{}", [], artifactType="\ud800"), MANIFEST, "MANIFEST_INVALID"),
        (manifest_of(b"{}", [], artifactType=["a"]), MANIFEST, "MANIFEST_INVALID"),
        (manifest_of(b"{}", [], config_type="\udfff/x"), MANIFEST, "MANIFEST_INVALID"),
        (manifest_of(b"{}", []).decode().encode("utf-16"), MANIFEST, "MANIFEST_INVALID"),
    ],
)
def test_what_is_no_manifest_is_refused(ask, repository, data, media_type, code):
    answer = put_manifest(ask, repository, "x", data, media_type)
    assert (answer.status, answer.code) == (400, code)


def test_a_manifest_under_a_wrong_digest_is_refused(ask, repository):
    data = image(ask, repository)
    for reference in ("sha256:baddigeststring", "sha256:totallywrong", digest_of(b"other")):
        answer = put_manifest(ask, repository, reference, data)
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert put_manifest(ask, repository, digest_of(data), data + b"  ").status == 400


# Pull


def test_what_is_not_there(ask, repository):
    ask.push_blob(repository, b"here")
    missing = digest_of(b"missing")
    for path, code in (
        (f"blobs/{missing}", "BLOB_UNKNOWN"),
        (f"manifests/{missing}", "MANIFEST_UNKNOWN"),
        ("manifests/missing", "MANIFEST_UNKNOWN"),
        ("manifests/.INVALID_MANIFEST_NAME", "MANIFEST_UNKNOWN"),
    ):
        got, head = ask("GET", f"/v2/{repository}/{path}"), ask("HEAD", f"/v2/{repository}/{path}")
        assert (got.status, got.code, head.status, head.body) == (404, code, 404, b"")
    assert ask("GET", f"/v2/{repository}/manifests/sha256:baddigeststring").status == 400
    assert ask("GET", "/v2/no/such/manifests/x").code == "NAME_UNKNOWN"
    assert ask("GET", "/v2/no/such/tags/list").code == "NAME_UNKNOWN"


def test_head_and_get_of_a_manifest(ask, repository):
    data = image(ask, repository)
    put_manifest(ask, repository, "tag", data)
    for reference in ("tag", digest_of(data)):
        path = f"/v2/{repository}/manifests/{reference}"
        head, got = ask("HEAD", path), ask("GET", path, Accept=f"{INDEX}, {MANIFEST}")
        assert (head.status, head.body, got.status, got.body) == (200, b"", 200, data)
        for answer in (head, got):
            assert answer.headers["docker-content-digest"] == digest_of(data)
            assert answer.headers["content-type"] == MANIFEST
            assert answer.headers["content-length"] == str(len(data))
    assert ask("GET", path, **{"If-None-Match": got.headers["etag"]}).status == 304


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("500-1499", 500, 1500), ("500-", 500, 2048), ("-500", 1548, 2048), ("2000-5000", 2000, 2048), ("0-0", 0, 1)],
)
def test_ranges(ask, repository, wanted, start, end):
    data = os.urandom(2048)
    digest = ask.push_blob(repository, data)
    answer = ask("GET", f"/v2/{repository}/blobs/{digest}", Range=f"bytes={wanted}")
    assert (answer.status, answer.body) == (206, data[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/2048"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("wanted", ["500-0", "5000-10000", "-0"])
def test_ranges_that_are_not_in_the_blob(ask, repository, wanted):
    digest = ask.push_blob(repository, os.urandom(2048))
    answer = ask("GET", f"/v2/{repository}/blobs/{digest}", Range=f"bytes={wanted}")
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */2048")


# Content discovery


def test_tags_in_pages(ask, repository):
    data = image(ask, repository)
    tags = ["1.0", "1.1", "Z", "a", "b_2", "z"]
    for tag in reversed(tags):
        put_manifest(ask, repository, tag, data)
    path = f"/v2/{repository}/tags/list"
    assert ask("GET", path).json() == {"name": repository, "tags": tags}
    assert ask("GET", f"{path}?n=0").json()["tags"] == []
    assert ask("GET", f"{path}?last=Z").json()["tags"] == ["a", "b_2", "z"]
    seen, following = [], f"{path}?n=4"
    while following:
        answer = ask("GET", following)
        seen.append(answer.json()["tags"])
        link = answer.headers.get("link", "")
        following = link.partition(">")[0].removeprefix("<")
        assert not link or link.endswith('rel="next"')
    assert seen == [tags[:4], tags[4:]]
    for bad in ("x", "-1", "1e3", "%00"):
        assert ask("GET", f"{path}?n={bad}").status == 400


def test_referrers(ask, repository):
    subject = image(ask, repository)
    ask.push_blob(repository, b"{}")
    descriptor = {"mediaType": MANIFEST, "digest": digest_of(subject), "size": len(subject)}
    path = f"/v2/{repository}/referrers/{digest_of(subject)}"
    empty = ask("GET", path)
    assert (empty.status, empty.headers["content-type"]) == (200, INDEX)
    assert empty.json() == {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    by_type = manifest_of(b"{}", [], artifactType="application/a", annotations={"n": "1"}, subject=descriptor)
    by_config = manifest_of(b"{}", [], config_type="application/b", annotations={"n": "2"}, subject=descriptor)
    listed = index_of(artifactType="application/a", annotations={"n": "3"}, subject=descriptor)
    plain = index_of(subject=descriptor)
    for data, media_type in ((by_type, MANIFEST), (by_config, MANIFEST), (listed, INDEX), (plain, INDEX)):
        answer = put_manifest(ask, repository, digest_of(data), data, media_type)  # the subject may come later
        assert (answer.status, answer.headers["oci-subject"]) == (201, digest_of(subject))
    put_manifest(ask, repository, "subject", subject)
    found = {each["digest"]: each for each in ask("GET", path).json()["manifests"]}
    assert found[digest_of(by_type)] == {
        "mediaType": MANIFEST,
        "digest": digest_of(by_type),
        "size": len(by_type),
        "artifactType": "application/a",
        "annotations": {"n": "1"},
    }
    assert found[digest_of(by_config)]["artifactType"] == "application/b"
    assert found[digest_of(listed)]["mediaType"] == INDEX
    assert "artifactType" not in found[digest_of(plain)]
    filtered = ask("GET", f"{path}?artifactType=application/a")
    assert filtered.headers["oci-filters-applied"] == "artifactType"
    assert {each["digest"] for each in filtered.json()["manifests"]} == {digest_of(by_type), digest_of(listed)}
    assert ask("GET", f"{path}?artifactType=none").json()["manifests"] == []
    assert ask("DELETE", f"/v2/{repository}/manifests/{digest_of(by_type)}").status == 202
    assert digest_of(by_type) not in {each["digest"] for each in ask("GET", path).json()["manifests"]}
    assert ask("GET", "/v2/no/such/referrers/" + digest_of(b"x")).json()["manifests"] == []
    assert ask("GET", f"/v2/{repository}/referrers/x").code == "DIGEST_INVALID"


def test_annotations_may_hold_any_text(ask, repository):
    descriptor = {"mediaType": MANIFEST, "digest": digest_of(b"subject"), "size": 7}
    notes = {"half a pair": "\ud800", "nothing": "\0", "letters": "é漢"}
    data = index_of(annotations=notes, subject=descriptor)
    assert put_manifest(ask, repository, digest_of(data), data, INDEX).status == 201
    answer = ask("GET", f"/v2/{repository}/referrers/{digest_of(b'subject')}")
    assert answer.json()["manifests"][0]["annotations"] == notes


def test_referrers_in_pages_that_every_client_takes(ask, repository):
    """However much is attached to a manifest, no answer is larger than what clients accept of an index."""
    descriptor = {"mediaType": MANIFEST, "digest": digest_of(b"subject"), "size": 7}
    pushed = []
    for number in range(5):
        kind = f"application/{'even' if number % 2 == 0 else 'odd+x'}"
        data = index_of(artifactType=kind, annotations={"n": f"{number}" + "é" * 400_000}, subject=descriptor)
        assert put_manifest(ask, repository, digest_of(data), data, INDEX).status == 201
        pushed.append(digest_of(data))

    def pages(path):
        found, count = [], 0
        while path:
            answer = ask("GET", path)
            assert (answer.status, answer.headers["content-type"], len(answer.body) < 4 << 20) == (200, INDEX, True)
            found += [each["digest"] for each in answer.json()["manifests"]]
            count += 1
            path = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
        return found, count

    path = f"/v2/{repository}/referrers/{digest_of(b'subject')}"
    assert pages(path) == (pushed, 5)
    assert pages(f"{path}?artifactType=application/odd%2Bx") == (pushed[1::2], 2)


# Content management


def test_delete_a_tag_then_the_manifest_then_its_blobs(ask, repository):
    data = image(ask, repository)
    for tag in ("one", "two"):
        put_manifest(ask, repository, tag, data)
    blobs = [json.loads(data)["config"]["digest"], json.loads(data)["layers"][0]["digest"]]
    manifests = f"/v2/{repository}/manifests"
    assert ask("DELETE", f"/v2/{repository}/blobs/{blobs[0]}").status == 405  # a manifest needs it
    assert ask("DELETE", f"{manifests}/one").status == 202
    assert ask("HEAD", f"{manifests}/one").status == 404
    assert ask("GET", f"/v2/{repository}/tags/list").json()["tags"] == ["two"]
    assert ask("HEAD", f"{manifests}/{digest_of(data)}").status == 200
    assert ask("DELETE", f"{manifests}/{digest_of(data)}").status == 202
    assert ask("HEAD", f"{manifests}/{digest_of(data)}").status == 404
    assert ask("HEAD", f"{manifests}/two").status == 404
    assert ask("DELETE", f"{manifests}/{digest_of(data)}").code == "MANIFEST_UNKNOWN"
    assert ask("GET", f"/v2/{repository}/tags/list").json()["tags"] == []
    for digest in blobs:
        assert ask("DELETE", f"/v2/{repository}/blobs/{digest}").status == 202
        assert ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 404
        assert ask("DELETE", f"/v2/{repository}/blobs/{digest}").code == "BLOB_UNKNOWN"


# Hostile requests


@pytest.mark.parametrize(
    "path",
    [
        "/v2/UPPER/manifests/x",
        "/v2/a//b/manifests/x",
        "/v2/../../etc/manifests/x",
        "/v2/%2e%2e/%2e%2e/manifests/x",
        "/v2/a%0d%0aX-Injected:%201/manifests/x",
        "/v2/a%22b/manifests/x",
        "/v2/a%00/manifests/x",
        "/v2/-a/tags/list",
        "/v2/" + "a" * 256 + "/manifests/x",
        "/v2/a/b_/tags/list",
        "/v2/%ff/tags/list",
    ],
)
def test_hostile_names(ask, path):
    answer = ask("GET", path)
    assert (answer.status, answer.code) in ((400, "NAME_INVALID"), (404, "NAME_INVALID"))
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize(
    "digest",
    ["sha256:..%2f..%2f..%2fetc%2fpasswd", "sha256:" + "A" * 64, "md5:" + "0" * 32, "sha256:", "sha256:" + "0" * 63],
)
def test_hostile_digests(ask, repository, digest):
    for method in ("GET", "DELETE"):
        answer = ask(method, f"/v2/{repository}/blobs/{digest}")
        assert answer.status in (400, 404)
        assert answer.code in ("DIGEST_INVALID", "NAME_INVALID")
    answer = ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", b"x")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    answer = ask("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}", b"")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("upload", ["../../x", "..%2f..%2fregistry.db", "x", str(uuid.uuid4()), "%00"])
def test_hostile_upload_ids(ask, repository, upload):
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        query = f"?digest={digest_of(b'x')}" if method == "PUT" else ""
        answer = ask(method, f"/v2/{repository}/blobs/uploads/{upload}{query}", b"x")
        assert answer.status in (400, 404)
        assert answer.code in ("BLOB_UPLOAD_UNKNOWN", "NAME_INVALID")


def test_an_upload_belongs_to_its_repository(ask, repository):
    location = begin(ask, repository)
    other = location.replace(repository, "another/one")
    assert ask("PATCH", other, b"x").code == "BLOB_UPLOAD_UNKNOWN"
    assert ask("GET", location).status == 204


@pytest.mark.parametrize("wanted", ["x", "5-1", "-5", "0-99999999999999999999", "0--1", "bytes"])
def test_hostile_content_ranges(ask, repository, wanted):
    location = begin(ask, repository)
    answer = ask("PATCH", location, b"abc", {**OCTETS, "Content-Range": wanted})
    assert (answer.status, answer.code) == (416, "BLOB_UPLOAD_INVALID")
    assert ask("GET", location).headers["range"] == "0-0"


@pytest.mark.parametrize("tag", ["-x", ".x", "a" * 129, "a%2fb", "a%20b", "%0a"])
def test_hostile_tags(ask, repository, tag):
    answer = put_manifest(ask, repository, tag, image(ask, repository))
    assert answer.status in (400, 404)
    assert answer.code in ("TAG_INVALID", "NAME_INVALID")


def test_methods_that_nothing_answers(ask, repository):
    for method, path in (("POST", "manifests/x"), ("PUT", "blobs/x"), ("POST", "tags/list"), ("PUT", "blobs/uploads/")):
        answer = ask(method, f"/v2/{repository}/{path}", b"")
        assert answer.status in (404, 405)
        assert answer.code == "UNSUPPORTED"
    assert ask("GET", "/nothing").status == 404
    assert ask("GET", f"/v2/{repository}").status == 404


def test_the_base_of_the_api_is_read_alone(ask):
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
        assert ask(method, "/v2/", b"").status == 405


def test_a_repository_may_be_called_like_the_api(ask):
    for name in ("manifests/manifests", "blobs/uploads", "tags/list/tags", "a/manifests/b"):
        data = image(ask, name)
        assert put_manifest(ask, name, "x", data).status == 201
        assert ask("GET", f"/v2/{name}/manifests/x").body == data
        assert ask("GET", f"/v2/{name}/tags/list").json()["tags"] == ["x"]


def test_catalog(ask):
    for name in ("zz/1", "zz/2", "zz/3"):
        ask.push_blob(name, b"x")
    answer = ask("GET", "/v2/_catalog?n=2&last=zz/")
    assert answer.json() == {"repositories": ["zz/1", "zz/2"]}
    assert answer.headers["link"] == '</v2/_catalog?n=2&last=zz/2>; rel="next"'
    assert ask("GET", "/v2/_catalog?n=2&last=zz/2").json() == {"repositories": ["zz/3"]}


def test_config_media_types_are_not_limited(ask, repository):
    ask.push_blob(repository, b"{}")
    assert put_manifest(ask, repository, "x", manifest_of(b"{}", [], config_type=CONFIG + "+x")).status == 201
