"""Small HTTP servers that stand behind a load balancer in tests, and load that counts what fails."""

import base64
import hashlib
import http.client
import http.server
import socket
import threading
import time


class Backend:
    """A server on a free port of the loopback: `/slow` takes two seconds, `/health` answers with `health`.

    Where `hosts` are named, whoever asks for another is answered 400, as frameworks with a list of allowed hosts do.
    """

    def __init__(self, name):
        self.name, self.health, self.requests, self.hosts, self.connections = name, 200, [], (), 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.backend = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self):
        """End as a process that is killed: nobody listens, and open connections are reset."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.open):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments):
        self.open, self.counting = set(), threading.Lock()
        super().__init__(*arguments)

    def finish_request(self, request, address):
        self.open.add(request)
        with self.counting:
            self.backend.connections += 1
        try:
            super().finish_request(request, address)
        finally:
            self.open.discard(request)

    def handle_error(self, request, address):
        pass


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        backend = self.server.backend
        status = 200
        if self.path == "/health":
            status = backend.health
        else:
            backend.requests.append((self.path, dict(self.headers)))
        if backend.hosts and self.headers["Host"] not in backend.hosts:
            status = 400
        if self.headers.get("Upgrade") == "websocket":
            return self._echo()
        if self.path.startswith("/slow"):
            time.sleep(2)
        body = backend.name.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def _echo(self):
        """What an upgraded connection says, back to it."""
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 4.2.2
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while data := self.connection.recv(1000):
            self.connection.sendall(data)


class Load:
    """Requests at a steady rate until it is stopped, from threads with keep-alive and without, and long ones."""

    def __init__(self, port, host, *, rate=60):
        self._port, self._host, self._end = port, host, threading.Event()
        self.failures, self.done, self.answers = [], 0, {}
        self._lock = threading.Lock()
        pause = 4 / rate
        plan = [(True, "/x", pause), (True, "/y", pause), (False, "/x", pause), (False, "/y", pause)]
        plan += [(False, "/slow", 0.1), (True, "/slow", 0.1)]
        self._threads = [threading.Thread(target=self._run, args=each) for each in plan]
        for thread in self._threads:
            thread.start()

    def _run(self, keep, path, pause):
        connection = None
        while not self._end.wait(pause):
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
                connection.request("GET", path, headers={"Host": self._host})
                answer = connection.getresponse()
                body = answer.read().decode()
                self._note(answer.status, body, path)
            except (OSError, http.client.HTTPException) as error:
                self._note(0, repr(error), path)
                connection = None
            if not keep and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _note(self, status, body, path):
        with self._lock:
            self.done += 1
            if status == 200:
                self.answers[body] = self.answers.get(body, 0) + 1
            else:
                self.failures.append((time.time(), path, status, body[:200]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
