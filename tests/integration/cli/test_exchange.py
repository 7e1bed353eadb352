"""Images leave the machine and come back, as a user of Docker would send them."""

import gzip
import hashlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
import tarfile
import threading

import pytest

from fakeregistry import Working


@pytest.fixture
def registry():
    server = Working()
    server._server.handle_error = lambda *_: None
    yield server
    server.close()


@pytest.fixture
def named(wherry, registry):
    """A name in the registry for the small image; all such names are gone afterwards."""

    def name(path="a/tiny:1", source="tiny"):
        wherry("tag", source, f"{registry.address}/{path}")
        return f"{registry.address}/{path}"

    yield name
    for each in wherry("images", "--format", "{{.Repository}}:{{.Tag}}").out.split():
        if each.startswith(registry.address):
            wherry("rmi", "-f", each, check=False)


def pending(wherry):
    """What a transfer that is over must not have left."""
    snapshots = [name for name in os.listdir(f"{wherry.root}/snapshots") if name.startswith("pending-")]
    return snapshots + os.listdir(f"{wherry.root}/content/ingest")


def image_of(server, repository, *layers, tag="1", **changes):
    """Put an image of such layers (each a dict of files) into the registry; `changes` are lies in the manifest."""
    plain, stored = [], []
    for files in layers:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        plain.append(stream.getvalue())
        data = gzip.compress(plain[-1])
        kind = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        stored.append({"mediaType": kind, "digest": server.put_blob(repository, data), "size": len(data)})
    diff_ids = ["sha256:" + hashlib.sha256(each).hexdigest() for each in plain]
    value = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    value |= changes.get("config", {})
    config = json.dumps(value).encode()
    kind = "application/vnd.docker.container.image.v1+json"
    described = {"mediaType": kind, "digest": server.put_blob(repository, config), "size": len(config)}
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": described, "layers": stored}
    for path, lie in changes.get("layer", {}).items():
        stored[0][path] = lie
    manifest |= changes.get("manifest", {})
    return server.put_manifest(repository, media_type, json.dumps(manifest).encode(), tag)


def test_build_push_remove_pull_run(wherry, registry, named, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM tiny\nRUN echo hello > /greeting && rm /bin/tty\n")
    wherry("build", "-q", "-t", "greeting", str(tmp_path))
    name = named("team/greeting:1", "greeting")
    identifier = wherry.inspect(name)["Id"]
    pushed = wherry("push", name).out.splitlines()
    assert pushed[0] == f"The push refers to repository [{registry.address}/team/greeting]"
    digest = registry.put_manifest("x", *registry.manifests["team/greeting", "1"])
    size = len(registry.manifests["team/greeting", "1"][1])
    assert pushed[-1] == f"1: digest: {digest} size: {size}"
    assert wherry.inspect(name)["RepoDigests"] == [f"{registry.address}/team/greeting@{digest}"]

    removed = wherry("rmi", name, "greeting").out
    assert f"Untagged: {registry.address}/team/greeting@{digest}" in removed
    wherry("system", "prune", "-f")
    pulled = wherry("pull", name).out.splitlines()
    assert pulled[0] == "1: Pulling from team/greeting"
    assert pulled[-3:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {name}", name]
    assert wherry.inspect(name)["Id"] == identifier
    assert wherry("run", "--rm", name, "cat", "/greeting").out == "hello\n"
    assert wherry("run", "--rm", name, "sh", "-c", "test ! -e /bin/tty && echo gone").out == "gone\n"
    again = wherry("pull", name).out.splitlines()
    assert again[-2] == f"Status: Image is up to date for {name}"
    by_digest = f"{registry.address}/team/greeting@{digest}"
    assert wherry("run", "--rm", by_digest, "cat", "/greeting").out == "hello\n"

    other = named("other/place:2", name)
    assert wherry("push", other).out.splitlines()[-1] == f"2: digest: {digest} size: {size}"
    assert wherry("rmi", by_digest).out == f"Untagged: {by_digest}\n"
    assert wherry.inspect(name)["RepoDigests"] == [f"{registry.address}/other/place@{digest}"]
    assert not pending(wherry)


def test_all_tags_go_and_come(wherry, registry, named):
    names = [named(f"many:{tag}") for tag in ("one", "two", "three")]
    repository = names[0].rpartition(":")[0]
    assert wherry("push", "-q", "-a", repository).out == f"{repository}\n"
    wherry("rmi", *names)
    wherry("pull", "-a", repository)
    listed = wherry("images", "--format", "{{.Tag}}", repository).out.split()
    assert sorted(listed) == ["one", "three", "two"]
    assert wherry("push", "-a", names[0], check=False).err.startswith("wherry: tag can't be used with --all-tags/-a")


def test_names_are_told_where_there_is_none(wherry, registry):
    done = wherry("push", f"{registry.address}/nothing", check=False)
    assert (done.returncode, done.err.splitlines()[0]) == (
        1,
        f"wherry: An image does not exist locally with the tag: {registry.address}/nothing",
    )
    done = wherry("pull", f"{registry.address}/nothing", check=False)
    assert done.returncode == 1
    assert f"manifest for {registry.address}/nothing:latest not found: manifest unknown" in done.err


def test_what_a_pull_by_digest_brings_is_kept(wherry, registry, named):
    digest = image_of(registry, "a/b", {"hello": b"hi"})
    name = f"{registry.address}/a/b@{digest}"
    assert wherry("pull", "-q", name).out == f"{name}\n"
    wherry("image", "prune", "-f")
    assert wherry("image", "inspect", name).returncode == 0
    wherry("rmi", name)
    assert wherry("image", "inspect", name, check=False).returncode == 1


def test_an_index_gives_the_image_of_the_platform(wherry, registry):
    entries = []
    for architecture in ("arm64", "amd64"):
        config = {"config": {"architecture": architecture}}
        digest = image_of(registry, "many", {architecture: b"x"}, tag="", **config)
        media_type, data = registry.manifests["many", digest]
        platform = {"os": "linux", "architecture": architecture}
        entries.append({"mediaType": media_type, "digest": digest, "size": len(data), "platform": platform})
    attestation = {**entries[0], "platform": {"os": "unknown", "architecture": "unknown"}}
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    index = {"schemaVersion": 2, "mediaType": kind, "manifests": [attestation, *entries]}
    digest = registry.put_manifest("many", kind, json.dumps(index).encode(), "latest")
    name = f"{registry.address}/many"
    assert f"Digest: {digest}" in wherry("pull", "--platform", "linux/arm64", name).out
    assert wherry.inspect(name)["Architecture"] == "arm64"
    assert f"{name}@{digest}" in wherry.inspect(name)["RepoDigests"]
    done = wherry("pull", "--platform", "linux/s390x", name, check=False)
    assert "no matching manifest for linux/s390x in the manifest list entries" in done.err
    wherry("rmi", name)


LIES = {
    "another digest": lambda server: server.blobs.update(
        {digest: data[:-1] + b"?" for digest, data in server.blobs.items() if data[:2] == b"\x1f\x8b"}
    ),
    "fewer bytes": lambda server: server.blobs.update(
        {digest: data[:-1] for digest, data in server.blobs.items() if data[:2] == b"\x1f\x8b"}
    ),
    "more bytes": lambda server: server.blobs.update(
        {digest: data + b"x" for digest, data in server.blobs.items() if data[:2] == b"\x1f\x8b"}
    ),
    "no bytes": lambda server: server.links.clear(),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_registry_that_lies_leaves_nothing_behind(wherry, registry, lie):
    image_of(registry, "liar", {"a": os.urandom(300_000)}, {"b": os.urandom(300_000)})
    LIES[lie](registry)
    before = wherry("images", "-q").out
    done = wherry("pull", f"{registry.address}/liar:1", check=False)
    assert done.returncode == 1
    assert done.err.startswith("wherry: ")
    assert wherry("images", "-q").out == before
    assert not pending(wherry)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}},
        {"config": {"rootfs": {"type": "layers", "diff_ids": []}}},
        {"layer": {"mediaType": "application/octet-stream"}},
        {"layer": {"size": 1 << 60}},
        {"layer": {"digest": "sha256:../../../etc/passwd"}},
        {"layer": {"urls": ["http://127.0.0.1/x"], "digest": "sha256:" + "1" * 64}},
        {"manifest": {"manifests": []}},
        {"manifest": {"schemaVersion": 1}},
        {"manifest": {"mediaType": "application/vnd.oci.image.index.v1+json"}},
        {"manifest": {"layers": [{"mediaType": "x", "digest": "sha256:" + "2" * 64, "size": 1}] * 5000}},
    ],
)
def test_a_hostile_manifest_leaves_nothing_behind(wherry, registry, changes):
    image_of(registry, "liar", {"a": b"x" * 1000}, **changes)
    before = wherry("images", "-q").out
    done = wherry("pull", f"{registry.address}/liar:1", check=False)
    assert done.returncode == 1
    assert "bug" not in done.err
    assert wherry("images", "-q").out == before
    assert not pending(wherry)


def test_a_lie_about_a_layer_that_is_here_is_refused_too(wherry, registry):
    image_of(registry, "honest", {"a": b"y" * 1000})
    wherry("pull", "-q", f"{registry.address}/honest:1")
    media_type, body = registry.manifests["honest", "1"]
    manifest = json.loads(body)
    layer = manifest["layers"][0]
    config = json.loads(registry.blobs[manifest["config"]["digest"]]) | {"author": "liar"}
    data = json.dumps(config).encode()
    manifest["config"] |= {"digest": registry.put_blob("liar", data), "size": len(data)}
    registry.put_blob("liar", registry.blobs[layer["digest"]])
    layer["size"] += 1
    registry.put_manifest("liar", media_type, json.dumps(manifest).encode(), "1")
    done = wherry("pull", f"{registry.address}/liar:1", check=False)
    assert (done.returncode, "bytes, not the" in done.err) == (1, True)
    assert not pending(wherry)


def test_a_pull_that_is_killed_is_made_again_by_the_next(wherry, registry, eventually):
    image_of(registry, "cut", {"a": os.urandom(3_000_000)}, {"b": os.urandom(3_000_000)})
    reached, go_on = threading.Event(), threading.Event()
    half = len(max(registry.blobs.values(), key=len)) // 2

    def before(handler):
        if "/blobs/" in handler.path and len(registry.blobs.get(handler.path.rpartition("/")[2], b"")) > half:
            data = registry.blobs[handler.path.rpartition("/")[2]]
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data[:half])
            reached.set()
            go_on.wait(30)
            return 200, {}, b""
        return None

    registry.before = before
    process = wherry.start("pull", f"{registry.address}/cut:1", stdout=subprocess.DEVNULL)
    assert reached.wait(30)
    eventually(lambda: os.listdir(f"{wherry.root}/content/ingest"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    go_on.set()
    registry.before = lambda handler: None
    assert f"{registry.address}/cut" not in wherry("images").out
    wherry("pull", f"{registry.address}/cut:1")
    wherry("rmi", f"{registry.address}/cut:1")
    wherry("system", "prune", "-f")
    assert not pending(wherry)


def test_an_interrupted_pull_ends_at_once_and_leaves_nothing(wherry, registry):
    image_of(registry, "slow", {"a": os.urandom(3_000_000)}, {"b": os.urandom(3_000_000)})
    reached, go_on = threading.Event(), threading.Event()

    def before(handler):
        digest = handler.path.rpartition("/")[2]
        if len(registry.blobs.get(digest, b"")) < 1_000_000:
            return None
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(registry.blobs[digest])))
        handler.end_headers()
        handler.wfile.write(registry.blobs[digest][:100_000])
        reached.set()
        go_on.wait(30)
        return 200, {}, b""

    registry.before = before
    process = wherry.start("pull", f"{registry.address}/slow:1", stdout=subprocess.DEVNULL)
    assert reached.wait(30)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    go_on.set()
    assert not pending(wherry)


def test_save_and_load(wherry, tmp_path):
    wherry("tag", "tiny", "saved/one:1")
    wherry("tag", "tiny", "saved/one:2")
    wherry("save", "-o", str(tmp_path / "a.tar"), "saved/one", "tiny")
    assert wherry("save", "saved/one", "tiny").stdout == (tmp_path / "a.tar").read_bytes()
    assert os.stat(tmp_path / "a.tar").st_mode & 0o777 == 0o600
    wherry("rmi", "saved/one:1", "saved/one:2")
    for form in (lambda data: data, gzip.compress):
        done = wherry("load", stdin=form((tmp_path / "a.tar").read_bytes()))
        assert done.out.split("\n")[:3] == [
            f"Loaded image: {name}" for name in ("saved/one:1", "saved/one:2", "tiny:latest")
        ]
        assert wherry("run", "--rm", "saved/one:2", "sh", "-c", "echo $NAME").out == "tiny\n"
        wherry("rmi", "saved/one:1", "saved/one:2")
    assert wherry("load", stdin=b"nonsense" * 1000, check=False).returncode == 1
    assert wherry("load", "-i", str(tmp_path / "none.tar"), check=False).err.startswith("wherry: open ")
    assert wherry("save", "nothing/here", check=False).returncode == 1
    done = wherry("save", "-o", str(tmp_path / "no/such.tar"), "tiny", check=False)
    assert "does not exist" in done.err


def test_a_name_that_an_archive_takes_over_is_told(wherry, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM tiny\nLABEL x=1\n")
    wherry("build", "-q", "-t", "taken", str(tmp_path))
    archive = wherry("save", "taken").stdout
    old = wherry.inspect("tiny")["Id"]
    wherry("tag", "tiny", "taken")
    assert (
        f"The image taken:latest already exists, renaming the old one with ID {old} to empty"
        in wherry("load", stdin=archive).out
    )
    wherry("rmi", "taken")


@pytest.mark.parametrize("place", ["oci:{}/x:tag", "oci-archive:{}/x:tag", "docker-archive:{}/x:a/b:1"])
def test_copy_from_the_store_and_back(wherry, registry, tmp_path, place):
    where = place.format(tmp_path)
    wherry("copy", "store:tiny", where)
    wherry("copy", where, "store:came/back")
    assert wherry.inspect("came/back")["Id"] == wherry.inspect("tiny")["Id"]
    wherry("copy", where, f"docker://{registry.address}/copied")
    assert ("copied", "latest") in registry.manifests
    wherry("copy", "-q", f"docker://{registry.address}/copied", f"docker://{registry.address}/again:2")
    assert registry.manifests["again", "2"] == registry.manifests["copied", "latest"]
    wherry("rmi", "came/back")


def test_places_that_are_none(wherry):
    for place in ("tiny", "docker:tiny", "oci:", "http://x"):
        done = wherry("copy", place, "oci:/tmp/x", check=False)
        assert (done.returncode, "not a place" in done.err) == (1, True)


def test_manifest_inspect(wherry, registry, named):
    name = named("looked/at:1")
    wherry("push", "-q", name)
    assert json.loads(wherry("manifest", "inspect", name).out) == json.loads(registry.manifests["looked/at", "1"][1])
    verbose = json.loads(wherry("manifest", "inspect", "-v", name).out)
    assert (verbose["Ref"], verbose["Descriptor"]["platform"]["os"]) == (name, "linux")


@pytest.fixture
def guarded():
    server = Working({"ana": "p:w"}, bearer=True)
    yield server
    server.close()


def test_login_push_logout(wherry, guarded, tmp_path, monkeypatch):
    monkeypatch.setitem(wherry.environment, "DOCKER_CONFIG", str(tmp_path))
    wherry("tag", "tiny", f"{guarded.address}/tiny")
    denied = wherry("push", f"{guarded.address}/tiny", check=False)
    assert denied.returncode == 1
    assert "denied" in denied.err.lower() or "unauthorized" in denied.err
    assert f"wherry login {guarded.address}" in denied.err
    done = wherry("login", "-u", "ana", "--password-stdin", guarded.address, stdin=b"p:w\n")
    assert done.out == "Login Succeeded\n"
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["auths"][guarded.address]["identitytoken"] == "identity"
    wherry("push", "-q", f"{guarded.address}/tiny")
    assert wherry("login", guarded.address).err == "Authenticating with existing credentials...\n"
    assert wherry("logout", guarded.address).out == f"Removing login credentials for {guarded.address}\n"
    assert json.loads((tmp_path / "config.json").read_text())["auths"] == {}
    wherry("rmi", f"{guarded.address}/tiny")


def test_a_login_that_fails_keeps_nothing(wherry, guarded, tmp_path, monkeypatch):
    monkeypatch.setitem(wherry.environment, "DOCKER_CONFIG", str(tmp_path))
    done = wherry("login", "-u", "ana", "-p", "wrong", guarded.address, check=False)
    assert done.returncode == 1
    assert done.err.startswith("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n")
    assert "unauthorized" in done.err
    assert not (tmp_path / "config.json").exists()
    for arguments, words in (
        (("-u", "ana", "-p", "x", "--password-stdin"), "mutually exclusive"),
        (("--password-stdin",), "Must provide --username with --password-stdin"),
        ((), "Cannot perform an interactive login from a non TTY device"),
    ):
        assert words in wherry("login", *arguments, guarded.address, check=False).err


def test_a_terminal_is_asked_and_does_not_show_the_password(wherry, guarded, tmp_path, monkeypatch):
    monkeypatch.setitem(wherry.environment, "DOCKER_CONFIG", str(tmp_path))
    argv = [sys.executable, "-I", "-m", "wherry", "login", guarded.address]
    pid, terminal = pty.fork()
    if not pid:
        os.execve(argv[0], argv, wherry.environment)
    shown = b""
    for prompt, answer in ((b"Username: ", b"ana\n"), (b"Password: ", b"p:w\n"), (b"Login Succeeded", b"")):
        while prompt not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, answer)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
    assert b"p:w" not in shown
