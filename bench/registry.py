"""Our registry beside docker-registry, in one run on one machine; prints a table in Markdown.

Both serve the same image from the same disk, log errors alone and let everybody in. They take turns. Requests per
second are wrk's at 16 connections, throughput is of whole GETs of one 100 MB blob, memory is what is resident while
200 connections ask for manifests and for that blob.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from typing import NamedTuple

import bench

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LUA = f'wrk.headers["Accept"] = "{MANIFEST}"\n'


class Server(NamedTuple):
    name: str
    process: subprocess.Popen
    port: int


def start(name, argv, port, **options):
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    deadline = time.monotonic() + 30
    while True:
        try:
            if ask(port, "GET", "/v2/")[0] == 200:
                return Server(name, process, port)
        except OSError:
            pass
        if time.monotonic() > deadline or process.poll() is not None:
            raise SystemExit(f"{name} does not start")
        time.sleep(0.1)


def ours(directory, port, name="wherry", **extra):
    argv = [sys.executable, "-I", "-m", "wherry", "registry", "serve", "--log", "errors"]
    argv += ["--listen", f"127.0.0.1:{port}", "--data", f"{directory}/wherry"]
    return start(name, argv, port, **extra)


def theirs(directory, port):
    program = shutil.which("docker-registry") or shutil.which("registry")
    if not program:
        return None
    config = f"""
version: 0.1
storage: {{filesystem: {{rootdirectory: {directory}/docker-registry}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""
    with open(f"{directory}/config.yml", "w") as file:
        file.write(config)
    return start("docker-registry", [program, "serve", f"{directory}/config.yml"], port)


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), data


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def upload(server, data):
    """Seconds for one blob, by POST and PUT as clients do."""
    begun = time.perf_counter()
    status, headers, _ = ask(server.port, "POST", "/v2/bench/app/blobs/uploads/")
    assert status == 202
    location = re.sub(r"^https?://[^/]+", "", headers.get("Location") or headers.get("location"))
    location += ("&" if "?" in location else "?") + f"digest={digest_of(data)}"
    status, _, said = ask(server.port, "PUT", location, data, {"Content-Type": "application/octet-stream"})
    assert status == 201, said
    return time.perf_counter() - begun


def push(server, blob):
    config = b'{"architecture":"amd64","os":"linux"}'
    upload(server, config)
    upload(server, blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(config),
            "size": len(config),
        },
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(blob), "size": len(blob)}
        ],
    }
    status, _, said = ask(
        server.port, "PUT", "/v2/bench/app/manifests/1", json.dumps(manifest), {"Content-Type": MANIFEST}
    )
    assert status == 201, said


def wrk(server, directory, seconds, connections=16):
    """Requests per second for a manifest by its tag."""
    script = f"{directory}/accept.lua"
    with open(script, "w") as file:
        file.write(LUA)
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", script]
    url = f"http://127.0.0.1:{server.port}/v2/bench/app/manifests/1"
    said = subprocess.run([*argv, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def download(server, digest):
    """Bytes per second of one GET, by curl, which costs little itself."""
    url = f"http://127.0.0.1:{server.port}/v2/bench/app/blobs/{digest}"
    argv = ["curl", "-sSf", "-o", "/dev/null", "-w", "%{speed_download}", url]
    return float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def download_part(server, digest):
    """Bytes per second of one GET of all but the first byte."""
    url = f"http://127.0.0.1:{server.port}/v2/bench/app/blobs/{digest}"
    argv = ["curl", "-sSf", "-r", "1-", "-o", "/dev/null", "-w", "%{speed_download}", url]
    return float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def download_at_once(server, digest, clients=16):
    """Bytes per second that many clients get together."""
    begun = time.perf_counter()
    many(clients, lambda _: download(server, digest))
    return clients * 100_000_000 / (time.perf_counter() - begun)


def consumed(pid):
    """Seconds of processor time so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """MiB of the process and its children."""
    total = 0
    for each in [pid, *children(pid)]:
        with open(f"/proc/{each}/status") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return total / 1024


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def memory(server, directory, digest):
    """MiB, the most that was seen with 200 connections asking for manifests, pulling and pushing blobs."""
    peak, stop = [resident(server.process.pid)], threading.Event()

    def watch():
        while not stop.wait(0.05):
            peak.append(resident(server.process.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    wrk(server, directory, 3, connections=200)
    many(200, lambda _: download_slowly(server, digest))
    many(200, lambda _: download_slowly(server, digest, {"Range": "bytes=1-"}))
    many(200, lambda number: upload(server, os.urandom(64) + bytes([number]) * 3_000_000))
    stop.set()
    watching.join()
    return max(peak)


def many(count, action):
    threads = [threading.Thread(target=action, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def download_slowly(server, digest, headers=None):
    """Read a little of the blob, and leave; all 200 hold their connection for a second."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"/v2/bench/app/blobs/{digest}", headers=headers or {})
    answer = connection.getresponse()
    answer.read(100_000)
    time.sleep(1)
    connection.close()


def row(title, unit, values, wanted, digits=0):
    names = ("wherry", "docker-registry")
    cells = [f"{values[name]:,.{digits}f}" if name in values else "-" for name in names]
    ratio = f"{values['wherry'] / values['docker-registry']:.2f}" if "docker-registry" in values else "-"
    return f"| {title} ({unit}) | {' | '.join(cells)} | {ratio} | {wanted} |"


def measure(directory, runs):
    blob = os.urandom(100_000_000)
    servers = [each for each in (ours(directory, 15131), theirs(directory, 15132)) if each]
    try:
        for server in servers:
            push(server, blob)
            download(server, digest_of(blob))
        print("| what | wherry | docker-registry | ratio | wanted |\n|---|---|---|---|---|", flush=True)

        def medians(once, times=1):
            found = {server.name: [] for server in servers}
            for _ in range(runs * times):
                for server in servers:
                    found[server.name].append(once(server))
            return {name: statistics.median(values) for name, values in found.items()}

        rates = medians(lambda server: wrk(server, directory, 4))
        print(row("manifest by tag, 16 connections", "requests/s", rates, "5"), flush=True)
        before = {server.name: consumed(server.process.pid) for server in servers}
        speeds = medians(lambda server: download(server, digest_of(blob)) / 1e6, 4)
        print(row("GET of a 100 MB blob", "MB/s", speeds, "1"), flush=True)
        spent = {
            server.name: (consumed(server.process.pid) - before[server.name]) * 1000 / (runs * 4) for server in servers
        }
        print(row("processor time of the server for it", "ms", spent, "-"), flush=True)
        parts = medians(lambda server: download_part(server, digest_of(blob)) / 1e6, 2)
        print(row("GET of a range of it", "MB/s", parts, "-"), flush=True)
        together = medians(lambda server: download_at_once(server, digest_of(blob)) / 1e6)
        print(row("GETs of it by 16 clients at once", "MB/s", together, "-"), flush=True)
        seconds = medians(lambda server: 100 / upload(server, os.urandom(100_000_000)))
        print(row("push of a 100 MB blob", "MB/s", seconds, "-"), flush=True)
        sizes = {server.name: memory(server, directory, digest_of(blob)) for server in servers}
        print(row("memory at 200 connections", "MiB", sizes, "150 MB"), flush=True)
    finally:
        for server in servers:
            server.process.terminate()
            server.process.wait(30)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with bench.place() as directory:
        measure(directory, arguments.runs)


if __name__ == "__main__":
    main()
