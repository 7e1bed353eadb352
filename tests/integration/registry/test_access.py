"""Who is let in, to what: accounts made beside a running server."""

import json
import shutil
import socket
import subprocess
import time
import urllib.parse

import pytest

from registry_server import basic


@pytest.fixture
def registry(registry_server):
    """Private: `ana` may everything below team, `rob` is a robot that pulls, everybody may pull what is public."""
    registry_server.start()
    registry_server.verb(
        "user", "add", "ana", "--password-stdin", "--grant", "team/**=pull,push,delete", stdin="secret"
    )
    registry_server.token = registry_server.verb("token", "create", "rob", "--grant", "team/*=pull").stdout.strip()
    registry_server.verb("policy", "grant", "anonymous", "public/*", "pull")
    registry_server.verb("policy", "grant", "*", "public/*", "pull,push")
    return registry_server


ANA = basic("ana", "secret")


def token(registry, *scopes, headers=None, **parameters):
    query = urllib.parse.urlencode(
        [("service", "wherry"), *(("scope", scope) for scope in scopes), *parameters.items()]
    )
    answer = registry("GET", f"/auth/token?{query}", headers=headers)
    assert answer.status == 200, answer
    return answer.json()


def bearer(registry, *scopes, headers=None):
    return {"Authorization": "Bearer " + token(registry, *scopes, headers=headers)["token"]}


def test_without_accounts_only_a_loopback_address_is_open(registry_server):
    registry_server.start(listen="0.0.0.0:0")
    assert registry_server("GET", "/v2/").status == 401
    assert registry_server("POST", "/v2/a/blobs/uploads/", b"").status == 401
    registry_server.stop()
    registry_server.start(listen="127.0.0.1:0")
    assert registry_server("GET", "/v2/").status == 200
    registry_server.verb("user", "add", "first", "--password-stdin", stdin="x")
    assert registry_server("GET", "/v2/").status == 401  # from now on


def test_the_challenge_names_the_realm_and_what_is_needed(registry):
    answer = registry("GET", "/v2/team/app/manifests/1")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    expected = f'Bearer realm="http://{registry.address}/auth/token",service="wherry",scope="repository:team/app:pull"'
    assert answer.headers["www-authenticate"] == expected
    assert (
        'scope="repository:team/app:pull,push"'
        in registry("POST", "/v2/team/app/blobs/uploads/").headers["www-authenticate"]
    )
    hostile = registry("GET", "/v2/", Host='evil"host,realm="x').headers["www-authenticate"]
    assert hostile.count('"') == 4


def test_basic_and_bearer(registry):
    registry.push("team/app", "1", b"layer", headers=ANA)
    for headers in (ANA, basic("rob", registry.token), bearer(registry, "repository:team/app:pull", headers=ANA)):
        assert registry("GET", "/v2/team/app/manifests/1", headers=headers).status == 200
    wrong = registry("GET", "/v2/team/app/manifests/1", headers={"Authorization": "Bearer a.b.c"})
    assert (wrong.status, 'error="invalid_token"' in wrong.headers["www-authenticate"]) == (401, True)
    for header in ("Basic !!!", "Basic " + "A" * 7, "Digest x", "Basic"):
        assert registry("GET", "/v2/", headers={"Authorization": header}).status in (400, 401)


def test_a_token_does_no_more_than_it_was_asked_for(registry):
    registry.push("team/app", "1", b"layer", headers=ANA)
    pull = bearer(registry, "repository:team/app:pull", headers=ANA)
    answer = registry("DELETE", "/v2/team/app/manifests/1", headers=pull)
    assert (answer.status, 'error="insufficient_scope"' in answer.headers["www-authenticate"]) == (401, True)
    assert registry("GET", "/v2/team/other/manifests/1", headers=pull).status == 401
    given = bearer(registry, "repository:other/app:pull,push", headers=ANA)  # asked for, not granted
    assert registry("GET", "/v2/other/app/manifests/1", headers=given).code == "DENIED"
    several = bearer(registry, "repository:team/app:pull repository:team/b:pull,push", headers=ANA)
    assert registry("POST", "/v2/team/b/blobs/uploads/", b"", several).status == 202


def test_roles(registry):
    registry.push("team/app", "1", b"layer", headers=ANA)
    rob = basic("rob", registry.token)
    assert registry("POST", "/v2/team/app/blobs/uploads/", b"", rob).code == "DENIED"
    assert registry("DELETE", "/v2/team/app/manifests/1", headers=rob).code == "DENIED"
    assert registry("GET", "/v2/team/app/deep/manifests/1", headers=rob).code == "DENIED"  # `*` ends at a slash
    assert registry("GET", "/v2/other/manifests/1", headers=ANA).code == "DENIED"
    registry.push("public/app", "1", b"layer", headers=rob)
    assert registry("GET", "/v2/public/app/manifests/1").status == 200
    assert registry("POST", "/v2/public/app/blobs/uploads/", b"").status == 401
    assert registry("DELETE", "/v2/public/app/manifests/1", headers=ANA).code == "DENIED"
    registry.verb("policy", "revoke", "anonymous", "public/*")
    assert registry("GET", "/v2/public/app/manifests/1").status == 401
    registry.verb("policy", "grant", "ana", "**", "admin")
    assert registry("DELETE", "/v2/public/app/manifests/1", headers=ANA).status == 202


def test_a_blob_is_not_mounted_from_where_the_caller_may_not_pull(registry):
    registry.verb("user", "add", "eve", "--password-stdin", "--grant", "eve/*=pull,push", stdin="x")
    digest = registry.push_blob("team/app", b"secret layer", ANA)
    eve = basic("eve", "x")
    for query in (f"mount={digest}&from=team/app", f"mount={digest}"):
        assert registry("POST", f"/v2/eve/app/blobs/uploads/?{query}", b"", eve).status == 202
    assert registry("HEAD", f"/v2/eve/app/blobs/{digest}", headers=eve).status == 404
    assert registry("HEAD", f"/v2/team/app/blobs/{digest}", headers=eve).status == 403


def test_a_mount_needs_a_token_for_both_repositories(registry):
    registry.verb("user", "add", "eve", "--password-stdin", "--grant", "eve/*=pull,push", stdin="x")
    digest = registry.push_blob("team/app", b"layer", ANA)
    path = f"/v2/team/copy/blobs/uploads/?mount={digest}&from=team/app"
    wanted = 'scope="repository:team/copy:pull,push repository:team/app:pull"'
    assert wanted in registry("POST", path, b"").headers["www-authenticate"]
    narrow = bearer(registry, "repository:team/copy:pull,push", headers=ANA)
    answer = registry("POST", path, b"", narrow)
    assert answer.status == 401
    assert wanted in answer.headers["www-authenticate"]
    wide = bearer(registry, "repository:team/copy:pull,push repository:team/app:pull", headers=ANA)
    assert registry("POST", path, b"", wide).status == 201
    # Whoever asked for it and did not get it uploads.
    path = f"/v2/eve/app/blobs/uploads/?mount={digest}&from=team/app"
    denied = bearer(registry, "repository:eve/app:pull,push repository:team/app:pull", headers=basic("eve", "x"))
    assert registry("POST", path, b"", denied).status == 202
    assert registry("POST", path.replace("team/app", "Bad//Name"), b"", denied).code == "NAME_INVALID"


def test_the_catalog_shows_what_may_be_pulled(registry):
    registry.push_blob("team/app", b"x", ANA)
    registry.push_blob("public/app", b"x", ANA)
    registry.verb("policy", "revoke", "*", "public/*")
    assert registry("GET", "/v2/_catalog").status == 401
    for headers in (ANA, bearer(registry, "registry:catalog:*", headers=ANA)):
        assert registry("GET", "/v2/_catalog", headers=headers).json()["repositories"] == ["public/app", "team/app"]
    registry.verb("policy", "revoke", "anonymous", "public/*")
    assert registry("GET", "/v2/_catalog", headers=ANA).json()["repositories"] == ["team/app"]
    assert registry("GET", "/v2/_catalog", headers=bearer(registry, headers=ANA)).status == 401


def test_what_is_removed_is_out_at_once(registry):
    rob = basic("rob", registry.token)
    registry.verb("token", "rm", "rob")
    assert registry("GET", "/v2/", headers=rob).status == 401
    assert registry("GET", "/v2/", headers=ANA).status == 200
    registry.verb("user", "passwd", "ana", "--password-stdin", stdin="new\n")
    assert registry("GET", "/v2/", headers=ANA).status == 401
    assert registry("GET", "/v2/", headers=basic("ana", "new")).status == 200
    registry.verb("user", "rm", "ana")
    assert registry("GET", "/v2/", headers=basic("ana", "new")).status == 401


def test_a_bearer_token_does_no_more_than_its_owner_may_now(registry):
    digest = registry.push_blob("team/app", b"layer", ANA)
    path = f"/v2/team/app/blobs/{digest}"
    rob = bearer(registry, "repository:team/app:pull", headers=basic("rob", registry.token))
    ana = bearer(registry, "repository:team/app:pull,push", headers=ANA)
    assert registry("GET", path, headers=rob).status == registry("GET", path, headers=ana).status == 200
    registry.verb("token", "rm", "rob")
    assert registry("GET", path, headers=rob).status == 401
    registry.verb("policy", "grant", "ana", "team/**", "pull")
    assert registry("GET", path, headers=ana).status == 200
    assert registry("POST", "/v2/team/app/blobs/uploads/", b"", ana).code == "DENIED"
    registry.verb("policy", "revoke", "ana", "team/**")
    assert registry("GET", path, headers=ana).code == "DENIED"
    registry.verb("policy", "grant", "*", "team/**", "pull")
    assert registry("GET", path, headers=ana).status == 200
    registry.verb("user", "rm", "ana")  # and what everybody who logs in may do is nothing to it any more
    assert registry("GET", path, headers=ana).status == 401


def test_a_token_from_before_there_were_accounts_opens_nothing_after(registry_server):
    registry_server.start(listen="127.0.0.1:0")
    early = bearer(registry_server, "repository:team/app:pull,push")
    assert registry_server("POST", "/v2/team/app/blobs/uploads/", b"", early).status == 202
    registry_server.verb("user", "add", "ana", "--password-stdin", stdin="x")
    assert registry_server("POST", "/v2/team/app/blobs/uploads/", b"", early).status == 401


def test_oauth2_with_identity_tokens(registry):
    def post(**form):
        body = urllib.parse.urlencode({"service": "wherry", "client_id": "x", **form})
        return registry("POST", "/auth/token", body, {"Content-Type": "application/x-www-form-urlencoded"})

    scope = "repository:team/app:push"
    first = post(grant_type="password", username="ana", password="secret", scope=scope, access_type="offline").json()
    headers = {"Authorization": "Bearer " + first["access_token"]}
    assert registry("POST", "/v2/team/app/blobs/uploads/", b"", headers).status == 202
    again = post(grant_type="refresh_token", refresh_token=first["refresh_token"], scope=scope)
    assert (
        registry(
            "POST", "/v2/team/app/blobs/uploads/", b"", {"Authorization": "Bearer " + again.json()["access_token"]}
        ).status
        == 202
    )
    assert "refresh_token" in token(registry, headers=ANA, offline_token="true")
    assert post(grant_type="refresh_token", refresh_token=first["access_token"]).status == 401
    assert post(grant_type="password", username="ana", password="wrong").status == 401
    assert post(grant_type="magic").status == 400
    registry.verb("user", "passwd", "ana", "--password-stdin", stdin="new")
    assert post(grant_type="refresh_token", refresh_token=first["refresh_token"], scope=scope).status == 401


def test_tokens_of_robots_expire(registry):
    soon = registry.verb("token", "create", "soon", "--expires", "1s").stdout.strip()
    later = registry.verb("token", "create", "later", "--expires", "1h").stdout.strip()
    deadline = time.monotonic() + 10
    while registry("GET", "/v2/", headers=basic("soon", soon)).status == 200 and time.monotonic() < deadline:
        pass
    assert registry("GET", "/v2/", headers=basic("soon", soon)).status == 401
    assert registry("GET", "/v2/", headers=basic("later", later)).status == 200


def test_htpasswd(registry, tmp_path):
    import bcrypt

    value = bcrypt.hashpw(b"pass word", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    (tmp_path / "htpasswd").write_text(f"# users\nbob:{value}\n\n")
    assert registry.verb("user", "import", str(tmp_path / "htpasswd")).stdout == "1 users\n"
    assert registry("GET", "/v2/", headers=basic("bob", "pass word")).status == 200
    assert registry("GET", "/v2/", headers=basic("bob", "pass word")).status == 200  # now as argon2
    assert registry("GET", "/v2/", headers=basic("bob", "password")).status == 401
    (tmp_path / "weak").write_text("eve:{SHA}xxx\n")
    done = registry.verb("user", "import", str(tmp_path / "weak"), check=False)
    assert (done.returncode, "bcrypt" in done.stderr) == (1, True)


def test_wrong_passwords_are_slowed_down_and_then_refused(registry):
    begun = time.monotonic()
    statuses = [registry("GET", "/v2/", headers=basic("ana", f"guess{number}")).status for number in range(12)]
    assert statuses[:10] == [401] * 10
    assert statuses[10:] == [429, 429]
    assert time.monotonic() - begun > 5
    answer = registry("GET", "/v2/", headers=ANA)  # the right one too
    assert (answer.code, int(answer.headers["retry-after"]) > 0) == ("TOOMANYREQUESTS", True)


def test_no_secret_is_in_any_log_or_in_clear_on_the_disk(registry):
    registry.push("team/app", "1", b"layer", headers=ANA)
    given = bearer(registry, "repository:team/app:pull", headers=ANA)
    registry("GET", "/v2/team/app/manifests/1?token=querysecret", headers=given)
    registry("GET", "/v2/", headers=basic("ana", "wrongsecret"))
    registry.stop()
    with open(f"{registry.data}/audit.log") as file:
        audit = file.read()
    logged = registry.logged() + audit
    secrets = ["wrongsecret", "querysecret", given["Authorization"][7:], registry.token, ANA["Authorization"][6:]]
    assert not [each for each in secrets if each in logged]
    assert "secret" not in logged
    with open(f"{registry.data}/registry.db", "rb") as file:
        assert registry.token.encode() not in file.read()
    entries = [json.loads(line) for line in audit.splitlines()]
    assert {"actor": "ana", "kind": "user", "action": "push", "repository": "team/app"}.items() <= entries[0].items()
    for line in registry.logged().splitlines():
        json.loads(line)


def test_metrics_and_health(registry):
    assert registry("GET", "/healthz").status == registry("GET", "/livez").status == 200
    assert registry("GET", "/readyz").json() == {"status": "ok"}
    registry.push("team/app", "1", b"layer", headers=ANA)
    text = registry("GET", "/metrics").body.decode()
    assert 'wherry_registry_requests_total{operation="put-manifest",status="201"} 1' in text
    assert "wherry_registry_manifests 1\n" in text
    assert "wherry_registry_received_bytes_total " in text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="not installed: openssl")
def test_tls(registry_server, tmp_path):
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"]
    subprocess.run([*argv, "-subj", "/CN=localhost"], check=True, capture_output=True)
    registry_server.start("--tls-cert", cert, "--tls-key", key)
    data = b"x" * 5_000_000
    digest = registry_server.push_blob("a", data)
    assert registry_server("GET", f"/v2/a/blobs/{digest}").body == data
    assert registry_server("GET", f"/v2/a/blobs/{digest}", Range="bytes=1-3").body == b"xxx"
    registry_server.stop()
    done = registry_server.verb("serve", "--tls-cert", cert, "--tls-key", "/no/key", check=False)
    assert (done.returncode, "cannot read /no/key" in done.stderr) == (1, True)
    done = registry_server.verb("serve", "--tls-cert", cert, check=False)
    assert done.returncode == 125


def test_headers_have_limits(registry):
    with socket.create_connection(("127.0.0.1", registry.port)) as connection:
        connection.settimeout(20)
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n")
        try:
            connection.sendall(b"X: " + b"a" * 1_000_000 + b"\r\n\r\n")
            answer = connection.recv(100)
        except ConnectionError:
            answer = b""
    assert answer[9:12] in (b"431", b"400", b"")
    with socket.create_connection(("127.0.0.1", registry.port)) as connection:
        connection.settimeout(20)
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n")  # and never the rest
        answer = connection.recv(100)
    assert answer[9:12] in (b"408", b"")
    assert registry("GET", "/healthz").status == 200


def test_verbs_tell_their_mistakes(registry_server):
    for arguments, code, said in (
        (("user", "add", "Bad Name", "--password-stdin"), 1, "not a name for a user"),
        (("user", "add", "ana", "--password-stdin"), 1, "the password is empty"),
        (("user", "rm", "nobody"), 1, "no such user: nobody"),
        (("user", "add", "x", "--grant", "a=fly", "--password-stdin"), 1, "not a list of actions"),
        (("policy", "grant", "anonymous", "a/*", "push"), 1, "only be allowed to pull"),
        (("policy", "grant", "ana", "/x", "pull"), 1, "not a pattern"),
        (("policy", "revoke", "ana", "x"), 1, "no such grant"),
        (("token", "create", "x", "--expires", "soon"), 1, "not a span of time"),
        (("key", "policy", "AKIAX"), 1, "no such access key"),
        (("key", "create", "--policy", "/dev/null"), 1, "the policy is not JSON"),
        (("gc", "--grace", "x"), 1, "not a span of time"),
        (("nothing",), 1, "unknown command: wherry registry nothing"),
        (("user", "nothing"), 1, "unknown command"),
        (("serve", "--listen", "nowhere"), 1, "not an address"),
        (("serve", "--listen", "203.0.113.1:1"), 1, "cannot listen on 203.0.113.1:1"),
        (("serve", "--log", "all"), 125, "invalid --log"),
        (("serve", "--config", "/no/file"), 1, "no such configuration file"),
    ):
        done = registry_server.verb(*arguments, check=False)
        assert (done.returncode, said in done.stderr) == (code, True), (arguments, done)


def test_one_server_for_one_directory(registry_server):
    registry_server.start()
    done = registry_server.verb("serve", "--listen", "127.0.0.1:0", check=False)
    assert (done.returncode, "another server has" in done.stderr) == (1, True)


def test_listing_what_there_is(registry):
    key = json.loads(registry.verb("key", "create", "--name", "ci", "--format", "json").stdout)["AccessKeyId"]
    registry.push("team/app", "1", b"layer", headers=ANA)
    users = registry.verb("user", "ls", "--format", "{{.Name}}").stdout
    tokens = registry.verb("token", "ls", "--format", "{{.Name}} {{.Expires}}").stdout
    keys = registry.verb("key", "ls", "--format", "{{.ID}} {{.Name}}").stdout
    grants = registry.verb("policy", "ls", "--format", "{{.Subject}} {{.Pattern}} {{.Actions}}").stdout
    stats = registry.verb("stats", "--format", "{{.Repository}} {{.Tags}} {{.Manifests}} {{.Blobs}}").stdout
    assert (users, tokens, keys) == ("ana\n", "rob never\n", f"{key} ci\n")
    assert grants.splitlines() == [
        "* public/* pull,push",
        "ana team/** pull,push,delete",
        "anonymous public/* pull",
        "rob team/* pull",
    ]
    assert stats == "team/app 1 1 2\n"
    registry.verb("key", "policy", key, "-", stdin='{"Statement":[]}')
    assert registry.verb("key", "policy", key).stdout == '{"Statement":[]}\n'
    assert registry.verb("key", "rm", key).stdout == f"{key}\n"


def test_a_manifest_is_not_served_to_whom_it_was_once_granted(registry):
    """What is cached of manifests is not cached of rights."""
    registry.push("team/app", "1", b"layer", headers=ANA)
    path = "/v2/team/app/manifests/1"
    assert registry("GET", path, headers=ANA).status == 200
    registry.verb("policy", "revoke", "ana", "team/**")
    assert registry("GET", path, headers=ANA).status == 403
