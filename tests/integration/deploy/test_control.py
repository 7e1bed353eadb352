"""Looking after an environment as it is: containers, HAProxy in front of them, requests, and a kill."""

import http.client
import os
import shutil
import signal

import pytest
from tests.installation import eventually

from backends import free_port
from wherry.base.paths import Layout
from wherry.deploy.assessing import assess
from wherry.deploy.balancer import Listener
from wherry.deploy.control import Control
from wherry.deploy.environments import Environments
from wherry.deploy.haproxy import HAProxy
from wherry.deploy.model import Version
from wherry.deploy.parts import open_parts

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]
NAME = "controlled"
# Answers with the status that the path ends with.
SERVER = (
    "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort=>80, Listen=>9, ReuseAddr=>1) or die;"
    ' while (my $c = $s->accept) { my ($code) = (<$c> // "") =~ m{/(\\d+) HTTP}; while (my $l = <$c>) {'
    ' last if $l =~ /^\\r?$/ } my $n = $ENV{NAME} // "web"; $code ||= 200;'
    ' print $c "HTTP/1.0 $code X\\r\\nConnection: close\\r\\n\\r\\n$n\\n"; close $c }'
)
MODEL = {
    "services": {
        "web": {
            "image": "tiny",
            "command": ["perl", "-e", SERVER],
            "networks": {"default": None},
            "ports": [{"target": 80}],
            "stop_grace_period": "0s",
        },
    },
    "networks": {"default": {}},
}
SETTINGS = {"min": "2", "health.interval": "0.2", "health.grace": "1", "drain": "1"}


@pytest.fixture
def parts(wherry):
    """An environment of two instances behind a load balancer."""
    wherry("base", "build", "--if-missing", "haproxy", timeout=800)
    layout = Layout(wherry.root, wherry.run)
    listener = Listener("127.0.0.1", free_port())
    made = open_parts(layout)._replace(balancer=HAProxy(layout, listener), listener=listener)
    records, doer = made.records, Environments(made, "tester")
    records.ensure_application(NAME)
    records.add_version(Version(NAME, "v1", 1, MODEL))
    yield made
    if [one for one in records.environments() if one.name == NAME]:
        doer.terminate(NAME, volumes=True)
        doer.purge(NAME)
    records.remove_application(NAME)
    made.balancer.stop()
    shutil.rmtree(f"{layout.root}/balancer")
    assert made.target.observe(NAME) == []


def ask(parts, path):
    connection = http.client.HTTPConnection("127.0.0.1", parts.listener.http, timeout=10)
    connection.request("GET", path, headers={"Host": f"{NAME}.localhost"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_an_environment_is_looked_after(parts, wherry):
    doer = Environments(parts, "tester")
    doer.create(NAME, NAME, "v1", settings=SETTINGS)
    control = Control(parts)
    try:
        _is_well(parts, control)
        _requests_count(parts, control)
        _what_is_killed_comes_back(parts, control)
        _what_stays_away_is_replaced(parts, control, wherry)
    finally:
        control.close()
        control.wait(60)


def _turned(control, condition):
    """Turn until it is true."""

    def look():
        control.turn()
        return condition()

    return eventually(look, 60)


def _is_well(parts, control):
    _turned(control, lambda: {one.status for one in (control.health[NAME], *control.health[NAME].instances)} == {"Ok"})
    found = assess(parts, NAME)
    assert (found.color, found.status) == ("green", "Ok")
    assert [(one.name, one.status, one.version) for one in found.instances] == [
        ("i-1", "Ok", "v1"),
        ("i-2", "Ok", "v1"),
    ]
    assert all(one.memory > 0 and one.cpu is not None for one in found.instances)
    assert parts.target.observe_all()[NAME] == parts.target.observe(NAME) != []
    assert [one.instance for one in parts.balancer.all_states()[NAME]] == ["i-1", "i-2"]


def _requests_count(parts, control):
    assert {ask(parts, "/500") for _ in range(8)} == {500}
    assert {ask(parts, "/") for _ in range(32)} == {200}
    _turned(control, lambda: control.health[NAME].stats.requests == 40)
    for health in (control.health[NAME], assess(parts, NAME)):
        assert health.stats.status == (0, 32, 0, 0, 8)
        assert health.status == "Degraded"
        assert "20.0 % of the requests are failing with HTTP 5xx." in health.causes
        assert sum(one.stats.requests for one in health.instances) == 40
    assert control._series.latest(NAME, "requests") > 0


def _what_is_killed_comes_back(parts, control):
    """A container of an instance is restarted by its policy; that is told, and nothing is replaced."""
    victim = parts.target.observe(NAME)[1].services[0].container
    container = parts.target._engine.opened().containers.resolve(victim)
    os.kill(container.state.pid, signal.SIGKILL)
    _turned(control, lambda: "web was restarted once" in " ".join(control.health[NAME].instances[1].causes))
    assert [one.name for one in parts.records.instances(NAME)] == ["i-1", "i-2"]


def _what_stays_away_is_replaced(parts, control, wherry):
    wherry("stop", "-t", "0", parts.target.observe(NAME)[1].services[0].container)
    _turned(control, lambda: "web exited with code 137." in control.health[NAME].instances[1].causes)
    _turned(control, lambda: [one.name for one in parts.records.instances(NAME)] == ["i-1", "i-3"])
    control.wait(60)
    assert parts.records.journal.pending(NAME) is None
    words = [one.message for one in parts.records.history.events(NAME)]
    assert any(one.startswith("i-2 is replaced: web exited with code 137") for one in words)
    assert any(one.startswith("Environment health has transitioned from ") for one in words)
    assert ask(parts, "/") == 200
