"""Images to and from foreign programs: docker-registry with and without users, skopeo, dockerd."""

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def run(*argv, **options):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **options).stdout


class DockerRegistry:
    """Debian's docker-registry with more of its configuration; answers `running` (200 or 401)."""

    def __init__(self, directory, eventually, **configuration):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        value = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": f"{directory}/registry"}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
            "log": {"level": "error"},
            **configuration,
        }
        (directory / "config.yml").write_text(json.dumps(value))
        argv = ["docker-registry", "serve", str(directory / "config.yml")]
        self._process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers)

    def _answers(self):
        try:
            return urllib.request.urlopen(f"http://{self.address}/v2/", timeout=1).status == 200
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False

    def close(self):
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def registry(tmp_path, eventually):
    server = DockerRegistry(tmp_path, eventually)
    yield server.address
    server.close()


@pytest.fixture
def config(wherry, tmp_path, monkeypatch):
    monkeypatch.setitem(wherry.environment, "DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker"


@needs("docker-registry", "skopeo")
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_what_is_pushed_others_can_read(wherry, registry, tmp_path, compression):
    name = f"{registry}/pushed:{compression}"
    wherry("tag", "tiny", name)
    wherry("push", "--compression", compression, name)
    target = tmp_path / "layout"
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{target}:x")
    assert json.loads(run("skopeo", "inspect", "--config", f"oci:{target}:x"))["config"]["Env"][-1] == "NAME=tiny"
    wherry("copy", f"oci:{target}:x", "store:through")
    assert wherry("run", "--rm", "through", "sh", "-c", "echo $NAME").out == "tiny\n"
    wherry("rmi", "through", name)


@needs("docker-registry", "skopeo")
def test_a_pulled_image_is_pushed_as_it_was(wherry, registry, tmp_path):
    """The same digest, whoever compressed it: schema 2 stays schema 2."""
    (tmp_path / "Dockerfile").write_text("FROM tiny\nRUN echo of its own > /file\n")
    wherry("build", "-q", "-t", "their-own", str(tmp_path))
    source = f"oci:{wherry.root}/content:docker.io/library/their-own:latest"
    run("skopeo", "copy", "--format", "v2s2", "--dest-tls-verify=false", source, f"docker://{registry}/first:1")
    digest = run("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{registry}/first:1")
    wherry("rmi", "their-own")
    wherry("pull", "-q", f"{registry}/first:1")
    wherry("tag", f"{registry}/first:1", f"{registry}/second:1")
    assert f"digest: {digest.strip()} " in wherry("push", f"{registry}/second:1").out
    wherry("rmi", f"{registry}/first:1", f"{registry}/second:1")


@needs("docker-registry", "htpasswd")
def test_a_registry_with_htpasswd(wherry, tmp_path, eventually, config):
    (tmp_path / "users").write_text(run("htpasswd", "-Bbn", "ana", "secret"))
    users = {"htpasswd": {"realm": "test", "path": str(tmp_path / "users")}}
    server = DockerRegistry(tmp_path, eventually, auth=users)
    try:
        wherry("tag", "tiny", f"{server.address}/a/tiny")
        assert wherry("push", f"{server.address}/a/tiny", check=False).returncode == 1
        wrong = wherry("login", "-u", "ana", "--password-stdin", server.address, stdin=b"no", check=False)
        assert "unauthorized" in wrong.err
        done = wherry("login", "-u", "ana", "--password-stdin", server.address, stdin=b"secret")
        assert f"WARNING! Your password will be stored unencrypted in {config}/config.json." in done.err
        wherry("push", f"{server.address}/a/tiny")
        if shutil.which("skopeo"):
            auth = ("--authfile", str(config / "config.json"), "--tls-verify=false")
            run("skopeo", "inspect", *auth, f"docker://{server.address}/a/tiny")
        wherry("rmi", f"{server.address}/a/tiny")
        wherry("pull", f"{server.address}/a/tiny")
        wherry("logout", server.address)
        assert wherry("pull", f"{server.address}/a/tiny", check=False).returncode == 1
        wherry("rmi", f"{server.address}/a/tiny")
    finally:
        server.close()


class TokenServer:
    """Gives JWTs for what is asked for, signed with a key whose certificate the registry trusts."""

    def __init__(self, directory, users):
        self.asked = []
        self._directory = directory
        subject = ("-subj", "/CN=token", "-days", "2", "-nodes")
        key, certificate = f"{directory}/token.key", f"{directory}/token.crt"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", certificate, *subject)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                query = parse_qs(urlsplit(self.path).query)
                outer.asked.append(query)
                _, _, secret = self.headers.get("Authorization", "").partition(" ")
                name, _, password = base64.b64decode(secret).decode().partition(":")
                granted = users.get(name) == password
                body = json.dumps({"token": outer.token(query, granted), "expires_in": 300}).encode()
                self.send_response(200 if granted or not secret else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def token(self, query, granted):
        access = []
        for scope in query.get("scope", []) if granted else []:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        certificate = open(f"{self._directory}/token.crt").read()
        chain = "".join(certificate.splitlines()[1:-1])
        now = int(time.time())
        claims = {"iss": "test", "aud": query["service"][0], "exp": now + 300, "nbf": now - 60, "iat": now}
        claims |= {"sub": "ana", "jti": "1", "access": access}
        parts = [_segment({"typ": "JWT", "alg": "RS256", "x5c": [chain]}), _segment(claims)]
        argv = ["openssl", "dgst", "-sha256", "-sign", f"{self._directory}/token.key"]
        signature = subprocess.run(argv, input=".".join(parts).encode(), check=True, capture_output=True).stdout
        return ".".join([*parts, _unpadded(signature)])

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def _segment(value):
    return _unpadded(json.dumps(value).encode())


def _unpadded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@needs("docker-registry", "openssl")
def test_a_registry_with_a_token_server(wherry, tmp_path, eventually, config):
    tokens = TokenServer(tmp_path, {"ana": "secret"})
    trust = {"realm": tokens.realm, "service": "reg", "issuer": "test", "rootcertbundle": f"{tmp_path}/token.crt"}
    server = DockerRegistry(tmp_path, eventually, auth={"token": trust})
    try:
        wherry("tag", "tiny", f"{server.address}/a/tiny")
        assert wherry("push", f"{server.address}/a/tiny", check=False).returncode == 1
        wherry("login", "-u", "ana", "--password-stdin", server.address, stdin=b"secret")
        wherry("push", f"{server.address}/a/tiny")
        assert ["repository:a/tiny:pull,push"] in [query.get("scope") for query in tokens.asked]
        wherry("tag", "tiny", f"{server.address}/b/tiny")
        mounted = wherry("push", f"{server.address}/b/tiny").out
        assert "Mounted from a/tiny" in mounted
        assert ["repository:a/tiny:pull", "repository:b/tiny:pull,push"] in [
            query.get("scope") for query in tokens.asked
        ]
        wherry("rmi", f"{server.address}/a/tiny", f"{server.address}/b/tiny")
        wherry("pull", f"{server.address}/b/tiny")
        wherry("rmi", f"{server.address}/b/tiny")
    finally:
        server.close()
        tokens.close()


@pytest.fixture(scope="module")
def docker(tmp_path_factory):
    """A client of a dockerd of our own, which touches neither the network nor any other daemon."""
    if not shutil.which("dockerd") or not os.path.exists("/usr/bin/docker") or os.geteuid():
        pytest.skip("not installed, or not root: dockerd")
    at = tmp_path_factory.mktemp("dockerd")
    address = f"unix://{at}/socket"
    own = ["--data-root", f"{at}/data", "--exec-root", f"{at}/exec", "-p", f"{at}/pid", "-H", address]
    with open(f"{at}/log", "wb") as log:
        quiet = {"stdout": log, "stderr": log}
        daemon = subprocess.Popen(["dockerd", *own, "--iptables=false", "--bridge=none"], **quiet)

    def client(*arguments, check=True, **options):
        env = {**os.environ, "DOCKER_HOST": address}
        return subprocess.run(["/usr/bin/docker", *arguments], env=env, check=check, capture_output=True, **options)

    deadline = time.monotonic() + 60
    while client("version", check=False).returncode:
        if daemon.poll() is not None or time.monotonic() > deadline:
            daemon.kill()
            pytest.skip(f"dockerd does not start here: {open(f'{at}/log').read()[-500:]}")
        threading.Event().wait(0.2)
    yield client
    daemon.terminate()
    daemon.wait()
    with open("/proc/self/mountinfo") as table:
        left = [line.split()[4] for line in table if f" {at}/" in line]
    for point in reversed(left):
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)


def test_docker_loads_what_is_saved_and_the_other_way_round(wherry, docker, tmp_path):
    wherry("save", "-o", str(tmp_path / "a.tar"), "tiny")
    assert b"Loaded image: tiny:latest" in docker("load", "-i", str(tmp_path / "a.tar")).stdout
    theirs = json.loads(docker("image", "inspect", "tiny").stdout)[0]
    assert theirs["Id"] == wherry.inspect("tiny")["Id"]
    docker("tag", "tiny", "theirs:1")
    wherry("load", stdin=docker("save", "theirs:1").stdout)
    assert wherry.inspect("theirs:1")["Id"] == theirs["Id"]
    wherry("rmi", "theirs:1")
    docker("rmi", "-f", "theirs:1")


@needs("docker-registry")
def test_docker_pulls_what_is_pushed_and_the_other_way_round(wherry, docker, registry):
    wherry("tag", "tiny", f"{registry}/ours")
    pushed = wherry("push", f"{registry}/ours").out.split("digest: ")[1].split()[0]
    docker("pull", f"{registry}/ours")
    digests = json.loads(docker("image", "inspect", f"{registry}/ours").stdout)[0]["RepoDigests"]
    assert digests == [f"{registry}/ours@{pushed}"]
    assert digests[0] in wherry.inspect(f"{registry}/ours")["RepoDigests"]
    docker("tag", f"{registry}/ours", f"{registry}/theirs")
    docker("push", f"{registry}/theirs")
    wherry("rmi", f"{registry}/ours")
    wherry("pull", f"{registry}/theirs")
    assert wherry("run", "--rm", f"{registry}/theirs", "sh", "-c", "echo $NAME").out == "tiny\n"
    wherry("rmi", f"{registry}/theirs")
    docker("rmi", "-f", f"{registry}/ours", f"{registry}/theirs")
