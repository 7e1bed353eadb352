"""Whatever is killed, and whenever: the next call ends or undoes what was under way, and requests are answered.

Real containers and the real balancer, under a light load; moments are drawn with a seed.
"""

import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from tests.installation import eventually

from backends import free_port
from deploying import reboot
from wherry.base.paths import Layout
from wherry.deploy.balancer import Listener
from wherry.deploy.environments import Environments
from wherry.deploy.haproxy import HAProxy
from wherry.deploy.model import Version
from wherry.deploy.parts import open_parts

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]
SERVER = (
    "use IO::Socket::INET; $SIG{TERM} = sub { exit 0 }; my $s = IO::Socket::INET->new(LocalPort=>80, Listen=>64,"
    " ReuseAddr=>1) or die; while (1) { my $c = $s->accept or next; while (<$c>) { last if /^\\r?$/ }"
    ' print $c "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n$ENV{LABEL}"; close $c }'
)
SETTINGS = {
    "min": "2",
    "health.interval": "0.2",
    "health.healthy": "1",
    "drain": "5",
    "timeout": "60",
    "split.evaluation": "1",
    "split.percent": "50",
}
POLICIES = ("rolling", "rolling-additional", "immutable", "traffic-splitting")
PROGRAM = """
import sys
from wherry.base.paths import Layout
from wherry.deploy.balancer import Listener
from wherry.deploy.environments import Environments
from wherry.deploy.haproxy import HAProxy
from wherry.deploy.parts import open_parts
layout = Layout(sys.argv[1], sys.argv[2])
listener = Listener("127.0.0.1", int(sys.argv[3]))
parts = open_parts(layout)._replace(balancer=HAProxy(layout, listener), listener=listener)
environments = Environments(parts, "whoever is killed")
exec(sys.argv[4])
"""


def model(label):
    web = {
        "image": "tiny",
        "command": ["perl", "-e", SERVER],
        "environment": {"LABEL": label},
        "networks": {"default": None},
        "ports": [{"target": 80}],
        "stop_grace_period": "1s",
    }
    return {"services": {"web": web}, "networks": {"default": {}}}


class Place:
    """The environments `shop` and `blue` of two instances each, and their balancer."""

    def __init__(self, wherry):
        self.layout, self.port = Layout(wherry.root, wherry.run), free_port()
        self.wherry = wherry
        listener = Listener("127.0.0.1", self.port)
        self.parts = open_parts(self.layout)._replace(balancer=HAProxy(self.layout, listener), listener=listener)
        self.environments = Environments(self.parts, "me")
        self.records, self.target = self.parts.records, self.parts.target
        self.records.ensure_application("shop")
        for label in ("v1", "v2"):
            self.records.add_version(Version("shop", label, 0, model(label)))
        for name in ("shop", "blue"):
            self.environments.create(name, "shop", "v1", settings=SETTINGS)

    def start(self, code):
        """A process that does something to environments."""
        arguments = [self.layout.root, self.layout.run, str(self.port), code]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env=self.wherry.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def other(self, name="shop"):
        return "v2" if self.environments.get(name).version == "v1" else "v1"

    def containers(self):
        """Identifier, monitor and main process of each instance's container, by environment and instance."""
        found = {}
        for name in ("shop", "blue"):
            for one in self.target.observe(name):
                [service] = one.services
                state = self.wherry.inspect(service.container)["State"]
                found[name, one.name] = service.container, state
        return found

    def check(self):
        """Nothing is under way, half-way or left over; rows, containers, networks and balancer say the same."""
        for name in ("shop", "blue"):
            assert self.records.journal.pending(name) is None
            environment = self.environments.get(name)
            assert environment.status == "Ready"
            rows = self.records.instances(name)
            assert len(rows) == environment.size
            assert {(one.revision, one.serves) for one in rows} == {(environment.revision, True)}
            observed = self.target.observe(name)
            assert {one.name for one in observed} == {one.name for one in rows}
            assert {service.status for one in observed for service in one.services} == {"running"}
            [pool] = self.parts.balancer.sections()[name].pools
            places = {(one.instance, one.address) for one in pool.servers}
            assert places == {(one.name, service.address) for one in observed for service in one.services}
        instances = len(self.records.instances("shop")) + len(self.records.instances("blue"))
        tagged = f"wh{self.layout.tag}"
        assert len(self.wherry("network", "ls", "-q", "--filter", "name=wherry_").out.split()) == instances
        assert len(self.wherry("ps", "-aq").out.split()) == instances + 1
        cables = [one for one in os.listdir("/sys/class/net") if one.startswith(tagged)]
        assert len(cables) <= 2 * instances + 1, cables


class Load:
    """Asks 20 times a second for each host, over kept and over fresh connections; `failures` tell when and what."""

    def __init__(self, port, *hosts):
        self.failures, self.answers, self._port = [], 0, port
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(host, keep)) for host in hosts for keep in (True, False)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, host, keep):
        connection = None
        while not self._end.wait(0.1):
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
                connection.request("GET", "/", headers={"Host": host})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    self.failures.append((time.time(), host, keep, answer.status, body[:100]))
                self.answers += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append((time.time(), host, keep, 0, repr(error)))
                connection = None
            if not keep and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def place(wherry):
    wherry("base", "build", "--if-missing", "haproxy", timeout=800)
    made = Place(wherry)
    yield made
    for name in ("shop", "blue"):
        made.environments.terminate(name, volumes=True)
        made.environments.purge(name)
    made.records.remove_application("shop")
    made.parts.balancer.stop()
    shutil.rmtree(f"{made.layout.root}/balancer")


@pytest.fixture
def load(place):
    with Load(place.port, "shop.localhost", "blue.localhost") as made:
        yield made


OPERATIONS = {
    **{
        policy: lambda place, policy=policy: f"environments.deploy('shop', {place.other()!r}, policy={policy!r})"
        for policy in POLICIES
    },
    "configure": lambda _: f"environments.configure('shop', variables={{'A': {str(time.time())!r}}})",
    "scale": lambda place: f"environments.scale('shop', {5 - place.environments.get('shop').size})",
    "swap": lambda _: "environments.swap('shop', 'blue')",
    "rollback": lambda place: (
        f"environments.deploy('shop', {place.other()!r}, policy='immutable'); environments.rollback('shop')"
    ),
    "restart": lambda _: "environments.restart('shop')",
}


MOMENTS = {"swap": (0.15, 0.5), "scale": (0.2, 1.0)}  # seconds; the others take about two


def recover(place):
    """End or take back what was cut off; the lock of who was killed ends with its last child that shares it."""
    began = time.monotonic()
    for name in ("shop", "blue"):
        eventually(lambda name=name: (place.environments.recover(name), is_at_rest(place, name))[1], 20)
    return time.monotonic() - began


def is_at_rest(place, name):
    return place.records.journal.pending(name) is None


def kill(pid):
    """SIGKILL for one process; 0 or less would mean a whole group, this one's own among them."""
    assert pid > 1
    os.kill(pid, signal.SIGKILL)


def kill_after(process, seconds):
    """SIGKILL in so many seconds, unless it has ended well before; whether it was killed."""
    try:
        assert process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_process_that_deploys_is_killed(place, load, operation):
    moments = random.Random(f"crash {operation}")
    cut_off = 0
    for _ in range(3):
        kill_after(place.start(OPERATIONS[operation](place)), moments.uniform(*MOMENTS.get(operation, (0.3, 1.8))))
        cut_off += place.records.journal.pending("shop") is not None
        recover(place)
        place.check()
    assert load.failures == []
    assert load.answers > 20
    print(f"{operation}: {cut_off} of 3 were cut off, {load.answers} answers")


def test_the_process_that_takes_it_up_is_killed_too(place, load):
    moments = random.Random("crash twice")
    kill_after(place.start(f"environments.deploy('shop', {place.other()!r}, policy='rolling')"), 1.0)
    for _ in range(2):
        kill_after(place.start("environments.recover('shop')"), moments.uniform(0.2, 1.0))
    recover(place)
    place.check()
    assert load.failures == []


def test_a_release_that_was_cut_off_does_not_run_on(place, load):
    releasing = {**model("v3"), "x-wherry": {"release": ["sleep", "300"]}}
    place.records.add_version(Version("shop", "v3", 0, releasing))

    def containers():
        return place.wherry("ps", "-q", "--filter", "label=io.wherry.instance=release").out.split()

    process = place.start("environments.deploy('shop', 'v3')")
    eventually(containers, 20)
    process.kill()
    process.wait()
    recover(place)
    assert containers() == []
    place.check()
    assert place.records.history.deployments("shop")[0].result == "failed"
    assert load.failures == []


def test_all_at_once_that_is_killed_ends_whole(place):
    kill_after(place.start(f"environments.deploy('shop', {place.other()!r}, policy='all-at-once')"), 1.0)
    recover(place)
    place.check()


@pytest.mark.parametrize("which", ["Pid", "monitor"])
def test_a_process_of_an_instance_is_killed(place, load, which):
    """Requests that are under way there may fail where they were answered in part; the balancer repeats the others."""
    before = place.containers()
    (container, state) = before["shop", min(name for environment, name in before if environment == "shop")]
    kill(state["Pid"] if which == "Pid" else monitor_of(place, container))
    eventually(lambda: place.wherry.inspect(container)["RestartCount"] and runs_again(place, container), 30)
    place.environments.revive("shop")
    place.check()
    assert len(load.failures) <= 1


def monitor_of(place, container):
    with open(f"{place.layout.container_run(container)}/monitor") as file:
        return int(file.read().partition(".")[0])


def runs_again(place, container):
    return place.wherry.inspect(container)["State"]["Status"] == "running"


def test_the_balancer_is_killed_while_somebody_deploys(place):
    """Nobody listens until it is back: connections are refused for that time, and for no longer."""
    process = place.start(f"environments.deploy('shop', {place.other()!r}, policy='rolling-additional')")
    with Load(place.port, "shop.localhost") as load:
        eventually(lambda: place.records.journal.pending("shop"), 20)
        killed = time.time()
        kill(place.wherry.inspect("wherry-balancer")["State"]["Pid"])
        assert process.wait(60) == 0
    place.check()
    assert [one for one in load.failures if one[0] > killed + 3] == []


def test_a_reboot(place):
    """Every process is gone, and all that is kept in memory; one call brings it back."""
    before = place.containers()
    kill_after(place.start(f"environments.deploy('shop', {place.other()!r}, policy='rolling-additional')"), 1.0)
    reboot(place.layout)
    for name in ("shop", "blue"):
        place.environments.revive(name)
    eventually(lambda: answers(place), 30)
    eventually(lambda: {one["Status"] for _, one in place.containers().values()} == {"running"}, 30)
    place.check()
    blue = {key for key in before if key[0] == "blue"}
    after = place.containers()
    assert {key: after[key][0] for key in blue} == {key: before[key][0] for key in blue}, "started, not replaced"


def answers(place):
    for name in ("shop", "blue"):
        connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=5)
        try:
            connection.request("GET", "/", headers={"Host": place.environments.get(name).host})
            if connection.getresponse().status != 200:
                return False
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
    return True
