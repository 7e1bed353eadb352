"""An environment's certificate, from its creation to its renewal: real containers, HAProxy and authority."""

import shutil
import socket
import ssl
import time

import pytest

from backends import free_port
from installation import SERVE
from pebble import MISSING, Pebble
from wherry.base.clock import system_clock
from wherry.base.paths import Layout
from wherry.compose.location import ProjectOptions
from wherry.deploy.acme import issue, renew_due
from wherry.deploy.applications import Applications
from wherry.deploy.balancer import Listener
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import fake_parts
from wherry.deploy.haproxy import HAProxy
from wherry.deploy.issuing import Authority, Terms
from wherry.deploy.local import LocalTarget
from wherry.deploy.probing import probe
from wherry.deploy.records import open_records
from wherry.deploy.tls import kept

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
HOST = "shop.example.org"
MODEL = {
    "services": {
        "web": {
            "image": "tiny",
            "command": ["perl", "-e", SERVE],
            "networks": {"default": None},
            "ports": [{"target": 80}],
            "stop_grace_period": "0s",
        }
    },
    "networks": {"default": {}},
}


@pytest.fixture
def parts(wherry):
    wherry("base", "build", "--if-missing", "haproxy", timeout=800)
    layout = Layout(wherry.root, wherry.run)
    listener = Listener("127.0.0.1", free_port(), free_port())
    made = fake_parts(layout)._replace(
        records=open_records(layout),
        target=LocalTarget(layout),
        balancer=HAProxy(layout, listener),
        listener=listener,
        probe=probe,
        clock=system_clock,
        pause=time.sleep,
    )
    made.versions.models["/project"] = MODEL
    label = Applications(made).add_version("acmeshop", ProjectOptions({}, "/project")).label
    environments = Environments(made, "me")
    settings = {"tls": "acme", "redirect": "on", "health.interval": "0.2"}
    environments.create("acmeshop", "acmeshop", label, host=HOST, settings=settings)
    yield made
    environments.terminate("acmeshop", volumes=True)
    environments.purge("acmeshop")
    Applications(made).remove("acmeshop")
    made.balancer.stop()
    shutil.rmtree(f"{layout.root}/balancer")


@pytest.fixture
def pebble(parts, tmp_path):
    made = Pebble(tmp_path, parts.listener.http)
    yield made
    made.stop()


def ask(parts, path, *, trusted=None):
    """The head and body of an answer, by https where `trusted` is the authority to trust."""
    port = parts.listener.https if trusted else parts.listener.http
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        connection = plain
        if trusted:
            connection = ssl.create_default_context(cadata=trusted).wrap_socket(plain, server_hostname=HOST)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        found = b""
        while block := connection.recv(4096):
            found += block
        return found.decode()


def test_an_environment_gets_its_certificate_shows_it_and_renews_it(parts, pebble, tmp_path):
    authority = Authority(Terms(pebble.directory, trust=pebble.trust), str(tmp_path / "acme"))
    assert "hello" in ask(parts, "/")
    assert renew_due(parts, authority) == ["acmeshop"]
    assert renew_due(parts, authority) == []
    assert "hello" in ask(parts, "/", trusted=pebble.root())
    assert ask(parts, "/a").startswith("HTTP/1.1 308")
    first = kept(parts.layout, "acmeshop", "acme")
    later = parts._replace(clock=lambda: int((first.facts.ends - 86_400) * 1e9))
    assert renew_due(later, authority) == ["acmeshop"]
    second = kept(parts.layout, "acmeshop", "acme")
    assert second.pem != first.pem
    assert issue(parts, "acmeshop", authority).hosts == (HOST,)
    assert "hello" in ask(parts, "/", trusted=pebble.root())
    said = [one.message for one in parts.records.history.events("acmeshop") if "Certificate" in one.message]
    assert len(said) == 3
    assert all(one.startswith(f"Certificate for {HOST} issued; it is valid until ") for one in said)
