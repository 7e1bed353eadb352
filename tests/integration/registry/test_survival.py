"""Nothing that was acknowledged is lost: kill -9, restarts, collections while pushes go on, a graceful end."""

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from registry_server import MANIFEST, RegistryServer, digest_of, manifest_of


@pytest.fixture
def registry(registry_server):
    return registry_server.start()


def pushes(registry, workers, stop, acknowledged, prefix="push"):
    """Each worker pushes images of its own until `stop`; what was acknowledged is noted after it was."""

    def work(number):
        count = 0
        while not stop.is_set():
            count += 1
            tag, layer = f"{number}-{count}", os.urandom(50_000)
            config = json.dumps({"n": tag}).encode()
            name = f"{prefix}/{number % 5}"
            try:
                for data in (config, layer):
                    registry.push_blob(name, data)
                manifest = manifest_of(config, [layer])
                answer = registry("PUT", f"/v2/{name}/manifests/{tag}", manifest, {"Content-Type": MANIFEST})
                assert answer.status == 201
            except (OSError, http.client.HTTPException):
                return
            acknowledged.append((name, tag, digest_of(manifest), digest_of(layer)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    return threads


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def assert_all_there(registry, acknowledged):
    for name, tag, digest, layer in acknowledged:
        got = registry("GET", f"/v2/{name}/manifests/{tag}")
        assert digest_of(got.body) == digest
        assert digest_of(registry("GET", f"/v2/{name}/blobs/{layer}").body) == layer


@pytest.mark.parametrize("after", [60, 200])
def test_killed_in_the_middle_of_fifty_pushes(registry, after):
    stop, acknowledged = threading.Event(), []
    threads = pushes(registry, 50, stop, acknowledged)
    wait_for(lambda: len(acknowledged) >= after)
    registry.stop(signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join()
    registry.start()
    assert registry.verb("check").stdout == "everything is there\n"
    assert_all_there(registry, acknowledged)
    registry.verb("gc", "--grace", "0")
    assert registry.verb("check").stdout == "everything is there\n"
    assert_all_there(registry, acknowledged)


def test_collections_while_pushes_go_on(registry):
    stop, acknowledged = threading.Event(), []
    threads = pushes(registry, 8, stop, acknowledged)
    for _ in range(4):
        before = len(acknowledged)
        registry.verb("gc", "--grace", "1h", "--untagged")
        wait_for(lambda: len(acknowledged) > before or not any(each.is_alive() for each in threads))  # noqa: B023
    stop.set()
    for thread in threads:
        thread.join()
    assert len(acknowledged) > 8
    assert registry.verb("check").stdout == "everything is there\n"
    assert_all_there(registry, acknowledged)


def test_what_nothing_names_is_collected_and_no_more(registry):
    kept = registry.push("a/b", "kept", b"shared", b"kept layer")
    gone = registry.push("a/b", "gone", b"shared", b"gone layer")
    registry.push_blob("a/c", b"gone layer")
    registry.push_blob("a/b", b"never named")
    assert registry("DELETE", f"/v2/a/b/manifests/{gone}").status == 202
    files = f"{registry.data}/blobs"
    before = sum(len(names) for _, _, names in os.walk(files))
    assert registry.verb("gc").stdout.startswith("0 manifests, 0 blobs")  # all that is younger than a day stays
    assert registry.verb("gc", "--grace", "0").stdout.startswith("0 manifests, 3 blobs")
    assert sum(len(names) for _, _, names in os.walk(files)) == before - 3
    assert registry("GET", f"/v2/a/b/manifests/{kept}").status == 200
    for data, status in ((b"shared", 200), (b"kept layer", 200), (b"gone layer", 404), (b"never named", 404)):
        assert registry("HEAD", f"/v2/a/b/blobs/{digest_of(data)}").status == status
    assert registry.verb("check").stdout == "everything is there\n"
    registry.push("a/b", "again", b"gone layer")


def test_untagged_manifests_go_where_that_is_asked_for(registry):
    first = registry.push("a/b", "1", b"first")
    registry.push("a/b", "1", b"second")
    assert registry.verb("gc", "--grace", "0").stdout.startswith("0 manifests")
    assert registry("GET", f"/v2/a/b/manifests/{first}").status == 200
    subject = registry("GET", "/v2/a/b/manifests/1")
    descriptor = {
        "mediaType": MANIFEST,
        "digest": subject.headers["docker-content-digest"],
        "size": len(subject.body),
    }
    attached = manifest_of(b"", [], subject=descriptor)
    registry.push_blob("a/b", b"")
    headers = {"Content-Type": MANIFEST}
    assert registry("PUT", f"/v2/a/b/manifests/{digest_of(attached)}", attached, headers).status == 201
    assert registry.verb("gc", "--grace", "0", "--untagged").stdout.startswith("1 manifests")
    assert registry("GET", f"/v2/a/b/manifests/{first}").status == 404
    assert registry("GET", f"/v2/a/b/manifests/{digest_of(attached)}").status == 200
    registry("DELETE", "/v2/a/b/manifests/1")
    assert registry.verb("gc", "--grace", "0", "--untagged").stdout.startswith("2 manifests")


def test_an_upload_goes_on_after_a_restart(registry):
    data = os.urandom(300_000)
    location = registry("POST", "/v2/a/b/blobs/uploads/", b"").headers["location"]
    assert registry("PATCH", location, data[:200_000]).status == 202
    registry.stop(signal.SIGKILL)
    registry.start()
    status = registry("GET", location)
    assert (status.status, status.headers["range"]) == (204, "0-199999")
    answer = registry("PATCH", location, data[200_000:], {"Content-Range": "200000-299999"})
    assert answer.status == 202
    assert registry("PUT", f"{location}?digest={digest_of(data)}").status == 201
    assert registry("GET", f"/v2/a/b/blobs/{digest_of(data)}").body == data


def test_what_came_before_a_cut_connection_is_kept(registry):
    data = os.urandom(3_000_000)
    location = registry("POST", "/v2/a/b/blobs/uploads/", b"").headers["location"]
    with socket.create_connection(("127.0.0.1", registry.port)) as connection:
        head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data[:2_000_000])

    def received():
        return int(registry("GET", location).headers["range"].partition("-")[2]) + 1

    wait_for(lambda: received() == 2_000_000)
    headers = {"Content-Range": f"2000000-{len(data) - 1}"}
    assert registry("PUT", f"{location}?digest={digest_of(data)}", data[2_000_000:], headers).status == 201


def test_uploads_expire(registry, tmp_path):
    location = registry("POST", "/v2/a/b/blobs/uploads/", b"").headers["location"]
    registry("PATCH", location, b"abc")
    config = tmp_path / "config.toml"
    config.write_text('[uploads]\nexpire = "1h"\n')
    assert registry.verb("gc", "--config", str(config)).stdout.startswith("0 manifests, 0 blobs, 0 uploads")
    upload = f"{registry.data}/uploads/{location.rpartition('/')[2]}"
    os.utime(upload, (time.time() - 4000,) * 2)
    assert registry.verb("gc", "--config", str(config)).stdout.startswith("0 manifests, 0 blobs, 1 uploads")
    assert not os.path.exists(upload)
    assert registry("PATCH", location, b"def").code == "BLOB_UPLOAD_UNKNOWN"


def test_requests_in_flight_end_when_it_is_stopped(registry):
    data = os.urandom(2_000_000)
    location = registry("POST", "/v2/a/b/blobs/uploads/", b"").headers["location"]
    connection = socket.create_connection(("127.0.0.1", registry.port))
    path = f"{location}?digest={digest_of(data)}"
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + data[:1_500_000])
    uploads = f"{registry.data}/uploads/{location.rpartition('/')[2]}"
    wait_for(lambda: os.stat(uploads).st_size >= 1_048_576)
    registry.process.send_signal(signal.SIGTERM)
    wait_for(lambda: '"stopping"' in registry.logged())
    connection.sendall(data[1_500_000:])
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert registry.process.wait(30) == 0
    assert '"stopped"' in registry.logged()
    registry.process = None
    registry.start()
    assert registry("GET", f"/v2/a/b/blobs/{digest_of(data)}").body == data
    assert registry.stop(signal.SIGINT) == 0


def test_check_finds_what_is_wrong(registry):
    registry.push("a/b", "1", b"layer one")
    registry.push("a/b", "2", b"layer two")
    registry.push("a/b", "3", b"layer three")

    def path(data):
        value = digest_of(data).partition(":")[2]
        return f"{registry.data}/blobs/sha256/{value[:2]}/{value}"

    os.unlink(path(b"layer one"))
    with open(path(b"layer two"), "r+b") as file:
        file.write(b"X")
    os.truncate(path(b"layer three"), 3)
    done = registry.verb("check", check=False)
    assert done.returncode == 1
    assert f"the blob {digest_of(b'layer one')} is not stored" in done.stdout
    assert f"the blob {digest_of(b'layer two')} is damaged" in done.stdout
    assert f"the blob {digest_of(b'layer three')} has 3 bytes instead of 11" in done.stdout
    assert "3 problems" in done.stderr
    assert registry.verb("check", "--quick", check=False).stdout.count("\n") == 2
    assert registry("GET", f"/v2/a/b/blobs/{digest_of(b'layer one')}").status == 500
    assert registry("GET", "/healthz").status == 200


def files_of(directory):
    return [name for _, _, names in os.walk(directory) for name in names]


def test_a_blob_in_one_request_that_fails_leaves_nothing(registry):
    """Nobody knows the upload's identifier, so nobody could go on with it."""
    data = os.urandom(100_000)
    path = "/v2/a/b/blobs/uploads/?digest="
    assert registry("POST", path + digest_of(b"other"), data).code == "DIGEST_INVALID"
    assert registry("POST", path + "sha256:short", data).code == "DIGEST_INVALID"
    connection = registry.connect()
    connection.putrequest("POST", path + digest_of(data))
    connection.putheader("Content-Length", str(len(data)))
    connection.endheaders(data[:50_000])
    wait_for(lambda: files_of(f"{registry.data}/uploads"))
    connection.close()
    wait_for(lambda: not files_of(f"{registry.data}/uploads"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MB of its own."""
    place = f"{tmp_path}/small"
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(path):
    """Take what is left of the file system."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert not os.statvfs(path).f_bavail


def test_a_full_disk_stops_pushes_alone_and_gc_makes_room(small_disk):
    registry = RegistryServer(small_disk)
    try:
        registry.start(listen="127.0.0.1:0")
        kept = registry.push("a/b", "1", b"layer")
        data = os.urandom(1_000_000)
        for number in range(40):
            answer = registry("POST", f"/v2/a/b/blobs/uploads/?digest={digest_of(data)}", data)
            if answer.status != 201:
                break
            data = number.to_bytes(2) + data[2:]
        assert (answer.status, answer.code) == (503, "UNAVAILABLE")
        assert files_of(f"{registry.data}/uploads") == []
        fill(f"{small_disk}/rest")
        assert registry("POST", "/v2/a/b/blobs/uploads/", b"").status == 503
        assert registry("HEAD", f"/v2/a/b/blobs/{digest_of(b'layer')}").status == 200
        assert registry("GET", f"/v2/a/b/blobs/{digest_of(b'layer')}").body == b"layer"
        assert registry("GET", "/v2/a/b/manifests/1").status == 200
        registry.verb("gc", "--grace", "0")
        registry.push("a/b", "2", b"another")
        assert registry("GET", f"/v2/a/b/manifests/{kept}").status == 200
        assert registry.verb("check").stdout == "everything is there\n"
    finally:
        registry.stop(signal.SIGKILL)


def sockets_of(pid):
    """The sockets of another process, as ours (pidfd_getfd(2))."""
    pidfd = os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        fd = ctypes.CDLL(None).syscall(438, pidfd, int(name), 0)
        try:
            with socket.socket(fileno=fd) as found:
                yield found
        except OSError:
            os.close(fd)
    os.close(pidfd)


def test_connections_of_clients_that_take_nothing_are_ended(registry):
    """The kernel does it after two minutes; here it is seen that it was told to."""
    connection = registry.connect()
    connection.request("GET", "/v2/")
    assert connection.getresponse().read() == b"{}"
    ours = []
    for each in sockets_of(registry.process.pid):
        try:
            if each.family == socket.AF_INET and each.getpeername() == connection.sock.getsockname():
                ours.append(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        except OSError:
            continue  # it listens
    connection.close()
    assert ours == [120_000]
