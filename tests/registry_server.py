"""A registry server of its own for tests: a process, its data, a plain HTTP client, images made of nothing."""

import base64
import hashlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from typing import NamedTuple

import pytest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json()["errors"][0]["code"]


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def manifest_of(config, layers, *, algorithm="sha256", **fields):
    """An image manifest's bytes; `config` and `layers` are the blobs' bytes."""

    def descriptor(data, media_type):
        return {"mediaType": media_type, "digest": digest_of(data, algorithm), "size": len(data)}

    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(config, fields.pop("config_type", CONFIG)),
        "layers": [descriptor(layer, LAYER) for layer in layers],
        **fields,
    }
    return json.dumps(value).encode()


def index_of(*manifests, **fields):
    entries = [{"mediaType": MANIFEST, "digest": digest_of(data), "size": len(data)} for data in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, **fields}).encode()


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


class RegistryServer:
    """`start` it; what it logs is in `log`."""

    def __init__(self, directory):
        self.data, self.log = f"{directory}/registry", f"{directory}/registry.log"
        self.environment = {**os.environ, "WHERRY_ROOT": f"{directory}/root", "WHERRY_RUN": f"{directory}/run"}
        self.process, self.port, self.tls = None, 0, None

    def start(self, *arguments, listen=None):
        listen = listen or f"127.0.0.1:{self.port}"  # the same port again after a stop
        argv = [sys.executable, "-I", "-m", "wherry", "registry", "serve", "--listen", listen, "--data", self.data]
        log = open(self.log, "ab")
        self.process = subprocess.Popen([*argv, *arguments], stderr=subprocess.PIPE, env=self.environment)
        self.tls = ssl._create_unverified_context() if "--tls-cert" in arguments else None
        for line in self.process.stderr:
            log.write(line)
            log.flush()
            if b'"listening"' in line:
                break
        else:
            raise AssertionError(f"it did not start: {self.logged()}")
        self.port = int(re.search(rb":(\d+)\"", line)[1])
        self._copy = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=log)
        self.process.stderr.close()
        log.close()
        return self

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def logged(self):
        with open(self.log) as file:
            return file.read()

    def connect(self, timeout=30):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def __call__(self, method, path, body=None, headers=None, **more):
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers={**(headers or {}), **more})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def verb(self, *arguments, stdin="", check=True):
        """`wherry registry ...` beside the server."""
        argv = [sys.executable, "-I", "-m", "wherry", "registry", *arguments, "--data", self.data]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, env=self.environment, check=False)
        if check:
            assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def push_blob(self, repository, data, headers=None):
        answer = self("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}", data, headers)
        assert answer.status == 201, answer
        return digest_of(data)

    def push(self, repository, tag, *contents, headers=None, **fields):
        """An image whose layers are `contents`; its digest."""
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "n": [digest_of(each) for each in contents]}
        ).encode()
        for data in (config, *contents):
            self.push_blob(repository, data, headers)
        manifest = manifest_of(config, contents, **fields)
        headers = {"Content-Type": MANIFEST, **(headers or {})}
        answer = self("PUT", f"/v2/{repository}/manifests/{tag}", manifest, headers)
        assert answer.status == 201, answer
        return answer.headers["docker-content-digest"]

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(number)
            code = self.process.wait(60)
            self._copy.wait(10)
            self.process = None
            return code
        return None


@pytest.fixture
def registry_server(tmp_path):
    """One that is not started yet; it is ended whatever happens."""
    server = RegistryServer(tmp_path)
    yield server
    server.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory):
    """A running one that lets everybody do everything, shared by a module's tests."""
    server = RegistryServer(tmp_path_factory.mktemp("registry")).start()
    yield server
    assert server.stop() == 0
