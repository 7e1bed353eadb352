"""Registries in this process: one that answers as a test scripts it, and one that works, with ways to misbehave."""

import base64
import hashlib
import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class _Server:
    def __init__(self, handler, context=None):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Scripted(_Server):
    """Answers as `answers` says: path to (status, headers, body), or a function of the handler."""

    def __init__(self):
        self.answers, self.seen = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
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

            do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

            def log_message(self, *_):
                pass

        super().__init__(Handler)


class Working(_Server):
    """A registry in memory. `users` (name to password) turn authentication on: `bearer` or, without it, Basic.

    `before(handler)` sees every request first; where it returns (status, headers, body), that is the answer.
    """

    def __init__(self, users=None, *, bearer=False, context=None):
        self.blobs, self.manifests, self.uploads, self.links = {}, {}, {}, set()
        self.users, self.bearer, self.before = users or {}, bearer, lambda handler: None
        self.requests, self.granted = [], []
        self.identity = {}
        outer = self

        class Handler(_Handler):
            registry = outer

        super().__init__(Handler, context)
        self.scheme = "https" if context else "http"

    def put_blob(self, repository, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        self.links.add((repository, digest))
        return digest

    def put_manifest(self, repository, media_type, data, tag=""):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        for name in filter(None, (digest, tag)):
            self.manifests[repository, name] = (media_type, data)
        return digest


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry = None

    def log_message(self, *_):
        pass

    def _handle(self):
        registry = self.registry
        registry.requests.append((self.command, self.path, dict(self.headers)))
        self.split = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(self.split.query).items()}
        status, headers, body = registry.before(self) or self._route()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _handle

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _route(self):
        if self.split.path == "/token":
            return self._token()
        if not self._allowed():
            self.read_body()
            return 401, {"WWW-Authenticate": self._challenge()}, _error("UNAUTHORIZED", "authentication required")
        if self.split.path == "/v2/":
            return 200, {}, b"{}"
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs|tags)/(.+)", self.split.path)
        if match is None:
            return 404, {}, b""
        repository, kind, name = match.groups()
        return getattr(self, f"_{kind}")(repository.removesuffix("/blobs"), name)

    def _allowed(self):
        registry = self.registry
        if not registry.users:
            return True
        kind, _, secret = self.headers.get("Authorization", "").partition(" ")
        if registry.bearer:
            return kind == "Bearer" and secret in registry.granted
        return kind == "Basic" and self._is_user(secret)

    def _is_user(self, secret):
        name, _, password = base64.b64decode(secret).decode().partition(":")
        return self.registry.users.get(name) == password

    def _challenge(self):
        if not self.registry.bearer:
            return 'Basic realm="registry"'
        return f'Bearer realm="{self.registry.scheme}://{self.registry.address}/token",service="test"'

    def _token(self):
        kind, _, secret = self.headers.get("Authorization", "").partition(" ")
        form = {key: values[0] for key, values in parse_qs(self.read_body().decode()).items()}
        if form:
            user = self.registry.identity.get(form.get("refresh_token"))
        else:
            user = kind == "Basic" and self._is_user(secret)
        if not user:
            return 401, {}, b'{"details":"incorrect username or password"}'
        token = f"token{len(self.registry.granted)}"
        self.registry.granted.append(token)
        answer = {"token": token, "expires_in": 300}
        if self.query.get("offline_token"):
            self.registry.identity["identity"] = True
            answer["refresh_token"] = "identity"
        return 200, {}, json.dumps(answer).encode()

    def _tags(self, repository, _name):
        tags = sorted(name for where, name in self.registry.manifests if where == repository and ":" not in name)
        start = tags.index(self.query["last"]) + 1 if "last" in self.query else 0
        page, more = tags[start : start + 2], tags[start + 2 :]
        link = {"Link": f'</v2/{repository}/tags/list?last={page[-1]}>; rel="next"'} if more else {}
        return 200, link, json.dumps({"name": repository, "tags": page}).encode()

    def _manifests(self, repository, name):
        registry = self.registry
        if self.command == "PUT":
            data = self.read_body()
            for digest in re.findall(rb"sha256:[0-9a-f]{64}", data):
                known = (repository, digest.decode()) in registry.links
                if not known and (repository, digest.decode()) not in registry.manifests:
                    return 404, {}, _error("MANIFEST_BLOB_UNKNOWN", digest.decode())
            digest = registry.put_manifest(repository, self.headers["Content-Type"], data, name)
            return 201, {"Docker-Content-Digest": digest}, b""
        if (repository, name) not in registry.manifests:
            return 404, {}, _error("MANIFEST_UNKNOWN", "manifest unknown")
        media_type, data = registry.manifests[repository, name]
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        return 200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, data

    def _blobs(self, repository, name):
        registry = self.registry
        if name.startswith("uploads/"):
            return self._upload(repository, name.removeprefix("uploads/"))
        if (repository, name) not in registry.links:
            return 404, {}, _error("BLOB_UNKNOWN", "blob unknown")
        data = registry.blobs[name]
        if self.headers.get("Range"):
            start = int(self.headers["Range"][6:].partition("-")[0])
            return 206, {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}, data[start:]
        return 200, {}, data

    def _upload(self, repository, session):
        registry = self.registry
        if self.command == "POST":
            if "mount" in self.query and (self.query["from"], self.query["mount"]) in registry.links:
                registry.links.add((repository, self.query["mount"]))
                return 201, {"Location": f"/v2/{repository}/blobs/{self.query['mount']}"}, b""
            session = os.urandom(8).hex()
            registry.uploads[session] = b""
            return 202, {"Location": f"/v2/{repository}/blobs/uploads/{session}?_state=x"}, b""
        registry.uploads[session] += self.read_body()
        if self.command == "PATCH":
            return 202, {"Location": f"/v2/{repository}/blobs/uploads/{session}?_state=y"}, b""
        data = registry.uploads.pop(session)
        if "sha256:" + hashlib.sha256(data).hexdigest() != self.query["digest"]:
            return 400, {}, _error("DIGEST_INVALID", "provided digest did not match uploaded content")
        registry.put_blob(repository, data)
        return 201, {"Docker-Content-Digest": self.query["digest"]}, b""


def _error(code, message):
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()
