"""The load balancer as it is: HAProxy in a container, small servers behind it, and traffic while everything changes."""

import concurrent.futures
import glob
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from backends import Backend, Load, free_port
from wherry.base.errors import Conflict
from wherry.base.paths import Layout
from wherry.deploy.balancer import Listener
from wherry.deploy.certificates import LocalAuthority
from wherry.deploy.haproxy import HAProxy
from wherry.deploy.haproxy.admin import Admin
from wherry.deploy.haproxy.wanted import cookie
from wherry.deploy.routing import Check, Pool, Rule, Section, Server

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]
CHECK = Check("/health", interval=0.2)


@pytest.fixture(scope="module")
def layout(wherry):
    """The shared installation; building the base image takes most of the time."""
    wherry("base", "build", "--if-missing", "haproxy", timeout=800)
    return Layout(wherry.root, wherry.run)


@pytest.fixture(scope="module")
def authority(layout):
    return LocalAuthority(f"{layout.root}/authority")


@pytest.fixture(scope="module")
def balancer(layout):
    made = HAProxy(layout, Listener("127.0.0.1", free_port(), free_port()))
    made.ensure()
    yield made
    made.stop()
    shutil.rmtree(f"{layout.root}/balancer")


@pytest.fixture(scope="module")
def listener(balancer):
    return balancer.ensure()


@pytest.fixture
def backends():
    made = [Backend(f"i-{number}") for number in range(1, 5)]
    yield made
    for each in made:
        each.stop()


@pytest.fixture(autouse=True)
def _forget(request):
    yield
    if "balancer" in request.fixturenames:
        balancer = request.getfixturevalue("balancer")
        for environment in balancer.sections():
            balancer.remove(environment)


def server(backend, **more):
    return Server(backend.name, "127.0.0.1", backend.port, **more)


def section(*servers, environment="shop", secure=False, sticky=False, check=CHECK, **more):
    rules = (Rule(f"{environment}.localhost", "/", "web", secure),)
    return Section(environment, rules, (Pool("web", servers, check, sticky),), **more)


def get(port, path="/", host="shop.localhost", *, method="GET", headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={"Host": host, **dict(headers)})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer.headers


def process(layout):
    """HAProxy's process."""
    (pid,) = [
        int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _is_haproxy(pid) and layout.root in _mounts(pid)
    ]
    return pid


def _is_haproxy(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip() == "haproxy"
    except OSError:
        return False


def _mounts(pid):
    with open(f"/proc/{pid}/mountinfo") as file:
        return file.read()


# --- requests


def test_requests_go_where_the_rules_say(balancer, listener, backends):
    web, api, deep, other = backends
    rules = [("/", "web"), ("/api", "api"), ("/api/deep", "deep")]
    pools = [("web", web), ("api", api), ("deep", deep)]
    balancer.apply(
        Section(
            "shop",
            tuple(Rule("shop.localhost", path, pool) for path, pool in rules),
            tuple(Pool(name, (server(backend),), CHECK) for name, backend in pools),
        ),
        section(server(other), environment="else"),
    )
    for path, backend in {
        "/": web,
        "/x": web,
        "/ap": web,
        "/api": api,
        "/api/d": api,
        "/api/deep/er?q=/": deep,
    }.items():
        assert get(listener.http, path)[1] == backend.name
        assert backend.requests[-1][0] == path
    for host in ("else.localhost", "ELSE.localhost:1234", "else.localhost."):
        assert get(listener.http, host=host)[1] == other.name


def test_servers_hear_of_the_client_and_not_what_the_client_says_of_itself(balancer, listener, backends):
    balancer.apply(section(server(backends[0])))
    lies = {f"X-Forwarded-{name}": "lie" for name in ("For", "Proto", "Host", "Port")}
    get(listener.http, headers={**lies, "Forwarded": "for=lie", "X-Request-Id": "a b"})
    get(listener.http, headers={"X-Request-Id": "mine-1"})
    (_, first), (_, second) = backends[0].requests
    told = {name: value for name, value in first.items() if name.lower().startswith("x-forwarded") or value == "lie"}
    assert {name.lower(): value for name, value in told.items()} == {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "shop.localhost",
        "x-forwarded-port": str(listener.http),
    }
    assert "for=lie" not in first.values()
    assert len({name.lower(): value for name, value in first.items()}["x-request-id"]) == 36
    assert {name.lower(): value for name, value in second.items()}["x-request-id"] == "mine-1"


def test_pages_where_no_server_answers(balancer, listener, backends):
    status, body, headers = get(listener.http, host="<b>nobody</b>")
    assert status in (400, 404)
    status, body, headers = get(listener.http, host="nobody.localhost")
    assert (status, headers["Cache-Control"]) == (404, "no-store")
    assert "nobody.localhost" in body
    assert "wherry env list" in body
    balancer.apply(section())
    status, body, headers = get(listener.http)
    assert (status, headers["Cache-Control"]) == (503, "no-store")
    assert "not available" in body
    balancer.apply(section(server(backends[0]), maintenance=True))
    status, body, headers = get(listener.http)
    assert (status, headers["Cache-Control"], headers["Retry-After"]) == (503, "no-store", "60")
    assert "maintenance" in body
    balancer.apply(section(server(backends[0])))
    assert get(listener.http)[0] == 200
    statuses = [record.status for record in balancer.access("shop")][-3:]
    assert statuses == [503, 503, 200]


def test_weights_divide_the_requests(balancer, listener, backends):
    balancer.apply(
        section(server(backends[0], weight=90), server(backends[1], weight=10), server(backends[2], weight=0))
    )
    for _ in range(100):
        assert get(listener.http)[0] == 200
    counts = [len(backend.requests) for backend in backends[:3]]
    assert 85 <= counts[0] <= 95
    assert counts[0] + counts[1] == 100


def test_sticky_sessions_stay_until_their_server_drains(balancer, listener, backends):
    first, second = backends[:2]
    balancer.apply(section(server(first), server(second), sticky=True))
    cookies = {get(listener.http)[2]["Set-Cookie"] for _ in range(4)}
    ones = [cookie(server(one)) for one in (first, second)]
    assert cookies == {f"wherry={one}; Path=/; HttpOnly; SameSite=Lax" for one in ones}
    held = {"Cookie": f"a=b; wherry={ones[1]}"}
    for _ in range(5):
        status, body, headers = get(listener.http, headers=held)
        assert (status, body, headers["Set-Cookie"]) == (200, "i-2", None)
    balancer.apply(section(server(first), server(second, draining=True), sticky=True))
    for _ in range(5):
        status, body, headers = get(listener.http, headers=held)
        assert (status, body) == (200, "i-1")
        assert headers["Set-Cookie"].startswith(f"wherry={ones[0]};")
    assert get(listener.http, headers={"Cookie": "wherry=i-77"})[1] == "i-1"
    balancer.apply(section(server(first), sticky=False))
    assert get(listener.http)[2]["Set-Cookie"] is None


def test_an_upgraded_connection_lives_on_while_its_server_drains(balancer, listener, backends):
    balancer.apply(section(server(backends[0])))
    with socket.create_connection(("127.0.0.1", listener.http), 10) as connection:
        connection.sendall(
            b"GET /socket HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101")
        balancer.apply(section(server(backends[0], draining=True), server(backends[1])))
        assert not balancer.wait_idle("shop", "i-1", 0.2)
        balancer.apply(section(server(backends[1])))
        connection.sendall(b"still here")
        assert connection.recv(100) == b"still here"
        assert not balancer.wait_idle("shop", "i-1", 0.0)
    assert balancer.wait_idle("shop", "i-1", 5)


# --- TLS


def test_certificates_are_chosen_by_name_and_change_without_a_failed_request(balancer, listener, backends, authority):
    context = ssl.create_default_context(cadata=authority.certificate())

    def served(host, alpn=("http/1.1",)):
        context.set_alpn_protocols(list(alpn))
        plain = socket.create_connection(("127.0.0.1", listener.https), 10)
        with plain, context.wrap_socket(plain, server_hostname=host) as connection:
            return connection.getpeercert()["serialNumber"], connection.selected_alpn_protocol()

    first = authority.issue("first", ("shop.localhost",))
    balancer.apply(section(server(backends[0]), certificates=(first._replace(name="own"),)))
    one, protocol = served("shop.localhost", ("h2", "http/1.1"))
    assert protocol == "h2"
    with pytest.raises(ssl.SSLCertVerificationError):
        served("other.localhost")
    assert served("localhost")
    second = authority.issue("second", ("shop.localhost",))
    with Load(listener.http, "shop.localhost") as load:
        balancer.apply(section(server(backends[0]), certificates=(second._replace(name="own"),)))
        two, _ = served("shop.localhost")
    assert two != one
    assert not load.failures
    balancer.apply(section(server(backends[0])))
    with pytest.raises(ssl.SSLCertVerificationError):
        served("shop.localhost")


def test_plain_requests_are_sent_to_https_where_that_is_wanted(balancer, listener, backends, authority):
    certificate = authority.issue("shop", ("shop.localhost",))
    balancer.apply(section(server(backends[0]), secure=True, certificates=(certificate,)))
    status, _, headers = get(listener.http, "/a?b=c", method="POST")
    assert (status, headers["Location"]) == (308, f"https://shop.localhost:{listener.https}/a?b=c")
    context = ssl.create_default_context(cadata=authority.certificate())
    plain = socket.create_connection(("127.0.0.1", listener.https), 10)
    with plain, context.wrap_socket(plain, server_hostname="shop.localhost") as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    headers = {name.lower(): value for name, value in backends[0].requests[-1][1].items()}
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-port"] == str(listener.https)


def test_challenges_of_authorities_are_answered_before_everything_else(balancer, listener, backends):
    path = "/.well-known/acme-challenge/"
    asked = (("first-1", "first-1.print"), ("second_2", "second_2.print"))
    balancer.apply(section(server(backends[0]), secure=True, maintenance=True, challenges=asked))
    for host in ("shop.localhost", "new.example.org"):
        for token, answer in asked:
            status, body, headers = get(listener.http, path + token, host)
            assert (status, body, headers["Cache-Control"]) == (200, answer, "no-store")
    balancer.apply(section(server(backends[0]), challenges=asked[1:]))
    assert get(listener.http, path + "first-1")[1] == "i-1"
    assert get(listener.http, path + "second_2")[1] == "second_2.print"
    balancer.apply(section(server(backends[0])))
    assert get(listener.http, path + "second_2")[1] == "i-1"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_http2_with_tls_and_without(balancer, listener, backends, authority, tmp_path):
    balancer.apply(section(server(backends[0]), certificates=(authority.issue("shop", ("shop.localhost",)),)))
    (tmp_path / "ca.pem").write_text(authority.certificate())
    for options in (
        ["--http2-prior-knowledge", f"http://shop.localhost:{listener.http}/"],
        ["--http2", "--cacert", f"{tmp_path}/ca.pem", f"https://shop.localhost:{listener.https}/"],
    ):
        argv = [
            "curl",
            "-sS",
            "-4",
            "-m",
            "10",
            "--resolve",
            f"shop.localhost:{listener.http}:127.0.0.1",
            "-w",
            " %{http_version} %{http_code}",
            *options,
        ]
        assert subprocess.run(argv, capture_output=True, check=True, text=True).stdout == "i-1 2 200"


# --- health


def test_health_checks_take_servers_out_and_in_and_say_why(balancer, listener, backends, eventually):
    first, second = backends[:2]
    check = Check("/health", "200-299,401", 0.1, healthy=1, unhealthy=1)
    balancer.apply(section(server(first), server(second), check=check))

    def becomes(status, reason):
        return eventually(lambda: [(s.status, s.reason) for s in balancer.states("shop")][1] == (status, reason))

    becomes("up", "/health answered 200")
    second.health = 503
    becomes("down", "/health answered 503, which is not among 200-299,401")
    assert {get(listener.http)[1] for _ in range(6)} == {"i-1"}
    second.health = 401
    becomes("up", "/health answered 401")
    second.health = 302
    becomes("down", "/health answered with a status that is not among 200-299,401")
    balancer.apply(section(server(first), server(second), check=check._replace(codes="302")))
    becomes("up", "/health answered 302")
    assert balancer.states("shop")[0].requests > 0


def test_health_checks_ask_for_the_host_that_is_named(balancer, listener, backends, eventually):
    backends[0].hosts = ("shop.localhost",)
    check = Check("/health", "200-299", 0.1, healthy=1, unhealthy=1, host="shop.localhost")
    balancer.apply(section(server(backends[0]), check=check))

    def becomes(status):
        return eventually(lambda: [one.status for one in balancer.states("shop")] == [status])

    becomes("up")
    balancer.apply(section(server(backends[0]), check=check._replace(host="new.localhost")))
    becomes("down")
    backends[0].hosts = ("new.localhost",)
    becomes("up")
    balancer.apply(section(server(backends[0]), check=check._replace(host="")))
    becomes("down")


def test_counters_and_records_of_what_was_served(balancer, listener, backends):
    began = time.time()
    balancer.apply(section(server(backends[0])))
    for _ in range(3):
        get(listener.http, "/a?secret=1")
    (state,) = balancer.states("shop")
    assert (state.pool, state.instance, state.requests, state.responses) == ("web", "i-1", 3, (0, 3, 0, 0, 0))
    records = list(balancer.access("shop", began))
    assert [(r.environment, r.pool, r.instance, r.status, r.method, r.path, r.client) for r in records] == [
        ("shop", "web", "i-1", 200, "GET", "/a", "127.0.0.1")
    ] * 3
    assert all(began <= record.time <= time.time() for record in records)
    assert list(balancer.access("shop", time.time())) == []
    following = balancer.access("shop", time.time(), follow=True)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        coming = pool.submit(next, following)
        get(listener.http, "/later")
        assert coming.result(10).path == "/later"


def test_connections_to_added_servers_are_used_again(balancer, listener, backends):
    rarely = Pool("web", (server(backends[0]),), Check("/health", interval=600.0))
    balancer.apply(Section("shop", (Rule("shop.localhost", "/", "web"),), (rarely,)))
    client = http.client.HTTPConnection("127.0.0.1", listener.http, timeout=10)
    for _ in range(50):
        client.request("GET", "/", headers={"Host": "shop.localhost"})
        assert client.getresponse().read().decode() == backends[0].name
    client.close()
    assert backends[0].connections < 10  # of requests and of health checks


# --- nothing fails


def test_no_request_fails_while_servers_come_drain_go_and_change(balancer, listener, backends, eventually):
    one, two, three, four = backends
    balancer.apply(section(server(one), server(two)))

    def change(*servers, **settings):
        """Apply, and let traffic meet it."""
        balancer.apply(section(*servers, **settings))
        goal = load.done + 8
        eventually(lambda: load.done >= goal)

    with Load(listener.http, "shop.localhost") as load:
        for _ in range(3):
            change(server(one), server(two), server(three, weight=10))
            change(server(one, weight=30), server(two), server(three, weight=200))
            change(server(one, draining=True), server(two), server(three))
            assert balancer.wait_idle("shop", "i-1", 10)
            change(server(two), server(three), server(four))
            change(server(two), server(three), server(four), check=CHECK._replace(interval=0.3))
            change(server(one), server(two))
    assert load.failures == []
    assert set(load.answers) == {"i-1", "i-2", "i-3", "i-4"}


def test_a_swap_is_seen_whole(balancer, listener, backends):
    blue, green = backends[:2]

    def both(one, other):
        return [
            Section(name, (Rule(f"{host}.localhost", "/", "web"),), (Pool("web", (server(backend),), CHECK),))
            for name, host, backend in (("one", one, blue), ("other", other, green))
        ]

    balancer.apply(*both("live", "next"))
    with Load(listener.http, "live.localhost") as live, Load(listener.http, "next.localhost") as following:
        for _ in range(5):
            balancer.apply(*both("next", "live"))
            balancer.apply(*both("live", "next"))
    assert live.failures == following.failures == []
    with pytest.raises(Conflict):
        balancer.apply(both("live", "next")[0]._replace(environment="third"))


def test_an_instance_that_is_killed_costs_no_idempotent_request(balancer, listener, backends):
    one, two = backends[:2]
    balancer.apply(section(server(one), server(two)))
    with Load(listener.http, "shop.localhost") as load:
        time_to_stop = threading.Event()
        time_to_stop.wait(0.5)
        two.stop()
        time_to_stop.wait(1.5)
    assert load.failures == []
    assert load.answers["i-1"] > load.answers["i-2"]


def test_a_removed_server_ends_its_long_request(balancer, listener, backends):
    balancer.apply(section(server(backends[0])))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(get, listener.http, "/slow")
        while not backends[0].requests:
            time.sleep(0.01)
        balancer.apply(section(server(backends[1])))
        assert get(listener.http)[1] == "i-2"
        balancer.remove("shop")
        assert get(listener.http)[0] == 404
        assert slow.result()[:2] == (200, "i-1")


# --- nothing is lost


def _settled(balancer, layout):
    """The servers that HAProxy has, without those that are on their way out."""
    observed = Admin(f"{layout.root}/balancer/live").observe(tls=True)
    servers = {
        slot: {name: each.weight for name, each in present.items() if each.ready}
        for slot, present in observed.servers.items()
    }
    maps = {name: {entry.key: entry.value for entry in entries} for name, entries in observed.maps.items()}
    return {slot: present for slot, present in servers.items() if present}, maps, set(observed.certificates)


def test_haproxy_that_is_killed_comes_back_with_what_was_applied(balancer, listener, backends, layout, authority):
    certificate = authority.issue("shop", ("shop.localhost",))
    balancer.apply(
        section(
            server(backends[0], weight=7), server(backends[1], draining=True), sticky=True, certificates=(certificate,)
        ),
        section(server(backends[2]), environment="other"),
    )
    before = _settled(balancer, layout)
    os.kill(process(layout), signal.SIGKILL)
    began = time.monotonic()
    while True:
        try:
            assert get(listener.http)[:2] == (200, "i-1")
        except ConnectionError:
            assert time.monotonic() - began < 20
            time.sleep(0.02)
        else:
            break
    after = _settled(balancer, layout)
    assert after == before
    assert get(listener.http, host="other.localhost")[1] == "i-3"
    assert list(balancer.sections()) == ["shop", "other"]


def test_what_is_applied_right_after_a_kill_holds(balancer, listener, backends, layout):
    balancer.apply(section(server(backends[0])))
    os.kill(process(layout), signal.SIGKILL)
    balancer.apply(section(server(backends[1])))
    assert {get(listener.http)[1] for _ in range(4)} == {"i-2"}


def test_applying_again_repairs_what_others_changed(balancer, listener, backends, layout):
    wanted = section(server(backends[0]), server(backends[1]))
    balancer.apply(wanted)
    before = _settled(balancer, layout)
    admin = Admin(f"{layout.root}/balancer/live")
    (slot,) = before[0]
    first, second = before[0][slot]
    admin.ask(f"set server {slot}/{first} state maint;set server {slot}/{second} weight 3")
    for name in ("hosts", "routes", "codes", "checks"):
        admin.ask(f"clear map /balancer/configuration/current/{name}.map")
    assert get(listener.http)[0] == 404
    balancer.apply(wanted)
    assert _settled(balancer, layout) == before
    assert {get(listener.http)[1] for _ in range(4)} == {"i-1", "i-2"}


def test_changes_from_several_processes_follow_one_another(balancer, listener, backends, layout):
    def work(number):
        one = HAProxy(layout, Listener("127.0.0.1", listener.http, listener.https))
        for _ in range(3):
            one.apply(section(server(backends[number]), environment=f"e{number}"))
            one.remove(f"e{number}")
        one.apply(section(server(backends[number]), environment=f"e{number}"))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(work, range(4)))
    assert sorted(balancer.sections()) == ["e0", "e1", "e2", "e3"]
    for number in range(4):
        assert get(listener.http, host=f"e{number}.localhost")[1] == f"i-{number + 1}"


# --- the container


def test_the_container_has_next_to_no_rights(balancer, wherry, layout):
    facts = wherry.inspect("wherry-balancer")
    host = facts["HostConfig"]
    assert host["RestartPolicy"]["Name"] == "always"
    assert host["NetworkMode"] == "host"
    assert host["ReadonlyRootfs"] is True
    with open(f"/proc/{process(layout)}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert set(status["Uid"].split()) == {"99"}
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert int(status["VmRSS"].split()[0]) < 100_000
    (log,) = glob.glob(f"{layout.root}/containers/{facts['Id']}/log")
    assert os.path.getsize(log) < 10_000


def test_a_port_that_is_taken_is_named(layout, balancer, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = HAProxy(layout._replace(root=str(tmp_path)), Listener("127.0.0.1", port))
        from wherry.deploy.haproxy.container import check_ports

        with pytest.raises(Conflict, match=f"cannot listen on port {port}: Address already in use"):
            check_ports(Listener("127.0.0.1", port))
        assert not other.running()


def test_it_goes_on_where_it_is_while_another_has_the_port_that_it_is_to_move_to(balancer, listener, backends, layout):
    balancer.apply(section(server(backends[0])))
    before = process(layout)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        moved = HAProxy(layout, Listener("127.0.0.1", taken.getsockname()[1], 0))
        with pytest.raises(Conflict, match="cannot listen on port"):
            moved.ensure()
    assert process(layout) == before
    assert get(listener.http)[1] == "i-1"


def test_stopped_and_started_elsewhere_it_knows_its_sections(balancer, listener, backends, layout):
    balancer.apply(section(server(backends[0])))
    balancer.stop()
    assert not balancer.running()
    assert balancer.states("shop") == []
    balancer.apply(section(server(backends[1])))
    heard = []
    moved = HAProxy(layout, Listener("127.0.0.1", free_port(), 0), heard.append)
    there = moved.ensure()
    assert get(there.http)[1] == "i-2"
    back = HAProxy(layout, listener, heard.append)
    assert back.ensure() == listener
    assert any("restarted" in getattr(event, "message", "") for event in heard)
    assert get(listener.http)[1] == "i-2"
    assert json.loads(json.dumps(list(balancer.sections()))) == ["shop"]
