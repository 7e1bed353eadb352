"""ADD of a URL, from a server of the test's own."""

import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CONTENT = b"\x1f\x8b not an archive, whatever it looks like"


@pytest.fixture
def server():
    """A server for one file; `server.asked` are the requests, `server.content` what it gives."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append((self.path, self.headers.get("If-None-Match")))
            tag = f'"{hashlib.sha256(server.content).hexdigest()[:8]}"'
            if self.path.startswith("/missing"):
                self.send_error(404)
            elif self.headers.get("If-None-Match") == tag:
                self.send_response(304)
                self.end_headers()
            else:
                self.send_response(200)
                self.send_header("ETag", tag)
                self.send_header("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT")
                self.send_header("Content-Length", str(len(server.content)))
                self.end_headers()
                self.wfile.write(server.content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.content = [], CONTENT
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def run(wherry, tag, script):
    return wherry("run", "--rm", tag, "sh", "-c", script).out


def test_the_file_is_as_docker_leaves_it(wherry, built, context, server):
    lines = ["FROM tiny", f"ADD {server.url}/dir/file.tar.gz?x=1 /d/", f"ADD --chown=5:6 --chmod=644 {server.url}/a /b"]
    tag = built(context("\n".join(lines) + "\n"))
    assert run(wherry, tag, "stat -c '%a %u:%g %Y %s' /d/file.tar.gz /b") == (
        f"600 0:0 1000000000 {len(CONTENT)}\n644 5:6 1000000000 {len(CONTENT)}\n"
    )


def test_an_unchanged_file_is_not_fetched_again_and_a_changed_one_is(wherry, context, server):
    arguments = ["build", "--progress", "plain", context(f"FROM tiny\nADD {server.url}/f /f\n")]
    assert "CACHED" not in wherry(*arguments).err
    server.asked.clear()
    assert "CACHED" in wherry(*arguments).err
    assert len(server.asked) == 1
    assert server.asked[0][1]
    server.content = b"changed"
    assert "CACHED" not in wherry(*arguments).err


def test_a_checksum_is_held_to(wherry, context, server):
    digest = hashlib.sha256(CONTENT).hexdigest()
    directory = context(f"FROM tiny\nADD --checksum=sha256:{digest} {server.url}/sum /f\n")
    wherry("build", directory)
    server.asked.clear()
    assert "CACHED" in wherry("build", "--progress", "plain", directory).err
    assert not server.asked
    wrong = context(f"FROM tiny\nADD --checksum=sha256:{'0' * 64} {server.url}/sum /f\n")
    done = wherry("build", wrong, check=False)
    assert done.returncode == 1
    assert "digest mismatch" in done.err


def test_what_is_not_there_is_told(wherry, context, server):
    done = wherry("build", context(f"FROM tiny\nADD {server.url}/missing /f\n"), check=False)
    assert "invalid response status 404" in done.err
    done = wherry("build", context("FROM tiny\nADD git@example.org:x/y.git /f\n"), check=False)
    assert "git repositories are not supported" in done.err


def test_an_archive_is_unpacked_where_that_is_asked_for(wherry, built, context, server, tmp_path):
    import tarfile

    (tmp_path / "f").write_text("in it")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "f", "inner/f")
    server.content = (tmp_path / "a.tar.gz").read_bytes()
    lines = ["FROM tiny", f"ADD --unpack=true {server.url}/a.tar.gz /x/", f"ADD {server.url}/a.tar.gz /y/"]
    tag = built(context("\n".join(lines) + "\n"))
    assert run(wherry, tag, "cat /x/inner/f; ls /y") == "in ita.tar.gz\n"
    assert os.path.exists(tmp_path / "a.tar.gz")
