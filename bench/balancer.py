"""The load balancer beside a hand-written HAProxy in front of the same servers; prints a table in Markdown.

All are the same program from the same base image, in a container on the host's network, with as many threads, the same
servers, checks, timeouts and limits of descriptors; they take turns. A hand-written one has a frontend and a backend.
The bare one has neither log nor headers; the careful one has `option forwardfor` and `option httplog` into a ring as
large as Wherry's; the retrying one also tries requests again that got no answer, as Wherry's does. The servers are an
HAProxy that answers by itself, so that as little as possible of what is measured is theirs.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

import bench

from wherry.base.paths import Layout
from wherry.base.progress import nobody
from wherry.deploy.balancer import Listener
from wherry.deploy.haproxy import HAProxy
from wherry.deploy.routing import Check, Pool, Rule, Section, Server

DEFAULTS = """
global
  fd-hard-limit 50000
defaults
  mode http
  timeout connect 2s
  timeout http-request 30s
  timeout http-keep-alive 75s
  timeout client 10m
  timeout server 1h
"""
SERVERS = f"""{DEFAULTS}
frontend servers
  bind 127.0.0.1:{{first}}
  bind 127.0.0.1:{{second}}
  http-request return status 200 content-type text/plain string "{{body}}"
"""
BY_HAND = f"""{DEFAULTS}{{more}}
frontend web
  bind 127.0.0.1:{{port}}
  default_backend servers
backend servers
  balance roundrobin
  option httpchk GET {{path}}
{{servers}}
"""
CAREFUL = """\
  log ring@access local0
  option httplog
  option forwardfor
ring access
  maxlen 4096
  size 16777216
"""
# As Wherry's, whose instances are replaced and killed while requests come in: those that got no answer are tried again.
RETRYING = f"""\
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
{CAREFUL}"""
HAND_WRITTEN = {"bare": "", "careful": CAREFUL, "retrying": RETRYING}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def run_haproxy(environment, name, configuration, directory):
    """HAProxy with that configuration in a container, until `remove`."""
    with open(f"{directory}/{name}.cfg", "w") as file:
        file.write(configuration)
    wherry(environment, "rm", "-f", name, check=False)
    mount = f"{directory}/{name}.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"
    wherry(environment, "run", "-d", "--name", name, "--network", "host", "-v", mount, "haproxy")


def run_hand_written(environment, addresses, directory, path="/"):
    """Each of `HAND_WRITTEN` in a container, before servers at these `HOST:PORT`; their ports, by name."""
    servers = "\n".join(f"  server s{number} {each} check inter 1s" for number, each in enumerate(addresses))
    ports = {}
    for name, more in HAND_WRITTEN.items():
        ports[name] = free_port()
        text = BY_HAND.format(more=more, port=ports[name], path=path, servers=servers)
        run_haproxy(environment, name, text, directory)
        wait_for(ports[name])
    return ports


def wherry(environment, *arguments, check=True):
    return subprocess.run(
        [sys.executable, "-I", "-m", "wherry", *arguments], env=environment, check=check, capture_output=True, text=True
    ).stdout


def requests_per_second(port, seconds, connections, close, host="bench.localhost"):
    header = ["-H", "Connection: close"] if close else []
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", f"Host: {host}", *header]
    said = subprocess.run([*argv, f"http://127.0.0.1:{port}/"], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or (not close and "Socket errors" in said):
        raise SystemExit(said)
    return float(re.search(r"Requests/sec:\s+([0-9.]+)", said)[1])


def section(first, second, weight=100):
    servers = (Server("i-1", "127.0.0.1", first, weight), Server("i-2", "127.0.0.1", second))
    return Section("bench", (Rule("bench.localhost", "/", "web"),), (Pool("web", servers, Check("/", interval=1.0)),))


def timed(action):
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def process_of(layout):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as name, open(f"/proc/{pid}/mountinfo") as mounts:
                if name.read() == "haproxy\n" and f"{layout.root}/balancer" in mounts.read():
                    return int(pid)
        except OSError:
            continue
    raise SystemExit("the balancer does not run")


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+([0-9]+)", file.read())[1]) / 1024


def measure(directory, options):
    root = os.path.realpath(options.root or f"{directory}/wherry")
    layout = Layout(root, f"{root}-run")
    environment = {**os.environ, "WHERRY_ROOT": layout.root, "WHERRY_RUN": layout.run}
    first, second = free_port(), free_port()
    balancer = HAProxy(layout, Listener("127.0.0.1", free_port()), nobody)
    port = balancer.ensure().http
    try:
        run_haproxy(environment, "servers", SERVERS.format(first=first, second=second, body="x" * 1000), directory)
        for each in (first, second):
            wait_for(each)
        by_hand = run_hand_written(environment, [f"127.0.0.1:{each}" for each in (first, second)], directory)
        balancer.apply(section(first, second))
        compare(by_hand, port, options)
        describe(balancer, layout, first, second)
    finally:
        for name in ("servers", *HAND_WRITTEN):
            wherry(environment, "rm", "-f", name, check=False)
        balancer.remove("bench")
        balancer.stop()


def compare(by_hand, port, options, host="bench.localhost"):
    """Requests per second of those written by hand (their ports by name) and of Wherry's; medians of turns."""
    names = list(by_hand)
    print(f"| what | {' | '.join(names)} | Wherry's | of {' | of '.join(names)} |")
    print("|---" * (2 * len(names) + 2) + "|")
    for close, connections in ((False, 16), (False, 100), (True, 16)):
        figures = {each: [] for each in (*by_hand.values(), port)}
        for _ in range(options.rounds):
            for each in figures:
                figures[each].append(requests_per_second(each, options.seconds, connections, close, host))
        *theirs, ours = (statistics.median(each) for each in figures.values())
        kind = "a connection each" if close else "keep-alive"
        cells = [f"{each:,.0f}" for each in (*theirs, ours)] + [f"{ours / each:.2f}" for each in theirs]
        print(f"| requests/s, {connections} at once, {kind} | {' | '.join(cells)} |", flush=True)


def describe(balancer, layout, first, second):
    """What it costs to change, to ask and to lose it."""
    memory = resident(process_of(layout))
    same = statistics.median(timed(lambda: balancer.apply(section(first, second))) for _ in range(21))
    weights = statistics.median(timed(lambda w=w: balancer.apply(section(first, second, w))) for w in range(1, 22))
    states = statistics.median(timed(lambda: balancer.states("bench")) for _ in range(21))
    log = timed(lambda: sum(1 for _ in balancer.access("bench")))
    recent = timed(lambda: sum(1 for _ in balancer.access("bench", time.time() - 1)))
    records = sum(1 for _ in balancer.access("bench"))
    back = statistics.median(timed(lambda: kill(balancer, layout)) for _ in range(3))
    print(f"\nmemory {memory:.0f} MB; apply {1000 * same:.0f} ms (nothing new), {1000 * weights:.0f} ms (a weight);")
    print(f"states {1000 * states:.0f} ms; reading {records} records {log:.2f} s, one second {recent:.2f} s;")
    print(f"back after kill -9 in {back:.2f} s (median of 3)")


def kill(balancer, layout):
    """Kill it, and return when it is back."""
    os.kill(process_of(layout), signal.SIGKILL)
    while not balancer.running():
        time.sleep(0.005)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="", help="an installation of its own (default: a new one)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    with bench.place() as directory:
        measure(directory, options)


if __name__ == "__main__":
    main()
