"""Certificates from a real ACME authority, which looks at hosts through the real load balancer."""

import json
import shutil
import threading

import pytest

from backends import Backend, free_port
from pebble import MISSING, Pebble
from wherry.base.errors import Denied, Unavailable
from wherry.base.paths import Layout
from wherry.deploy.balancer import Listener
from wherry.deploy.certificates import certificate_facts
from wherry.deploy.haproxy import HAProxy
from wherry.deploy.issuing import Authority, Terms
from wherry.deploy.routing import Check, Pool, Rule, Section, Server

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
HOSTS = ("shop.example.org", "www.shop.example.org")


@pytest.fixture(scope="module")
def balancer(wherry):
    wherry("base", "build", "--if-missing", "haproxy", timeout=800)
    layout = Layout(wherry.root, wherry.run)
    made = HAProxy(layout, Listener("127.0.0.1", free_port(), free_port()))
    made.ensure()
    yield made
    made.stop()
    shutil.rmtree(f"{layout.root}/balancer")


@pytest.fixture(scope="module")
def pebble(balancer, tmp_path_factory):
    made = Pebble(tmp_path_factory.mktemp("pebble"), balancer.ensure().http)
    yield made
    made.stop()


@pytest.fixture
def backend():
    made = Backend("i-1")
    yield made
    made.stop()


@pytest.fixture
def publish(balancer, backend):
    """What challenges are for; `publish.seen` is how often there were any."""

    def call(challenges):
        call.seen.append(len(challenges))
        rules = tuple(Rule(host, "/", "web", secure=True) for host in HOSTS)
        pools = (Pool("web", (Server("i-1", "127.0.0.1", backend.port),), Check("/health")),)
        balancer.apply(Section("shop", rules, pools, maintenance=True, challenges=tuple(challenges)))

    call.seen = []
    yield call
    balancer.remove("shop")


def terms(pebble, **more):
    return Terms(pebble.directory, trust=pebble.trust, **more)


def test_a_certificate_is_issued_for_hosts_that_lead_here(pebble, publish, tmp_path):
    pem = Authority(terms(pebble, email="me@example.org"), str(tmp_path)).issue(HOSTS, publish)
    assert certificate_facts(pem).hosts == HOSTS
    assert pem.startswith("-----BEGIN PRIVATE KEY-----")
    assert pem.count("-----BEGIN CERTIFICATE-----") == 2
    assert publish.seen == [2, 0]


def test_the_account_is_made_once_and_kept_for_its_owner_alone(pebble, publish, tmp_path):
    place = tmp_path / "acme"
    Authority(terms(pebble), str(place)).issue(HOSTS[:1], publish)
    (path,) = place.glob("account-*.json")
    assert path.stat().st_mode & 0o77 == place.stat().st_mode & 0o77 == 0
    before = path.read_text()
    Authority(terms(pebble), str(place)).issue(HOSTS[1:], publish)
    assert path.read_text() == before


def test_an_account_that_was_cut_off_while_it_was_made_is_found_again(pebble, publish, tmp_path):
    Authority(terms(pebble), str(tmp_path)).issue(HOSTS[:1], publish)
    (path,) = tmp_path.glob("account-*.json")
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in kept.items() if name != "uri"}))
    Authority(terms(pebble), str(tmp_path)).issue(HOSTS[:1], publish)
    assert json.loads(path.read_text()) == kept


def test_an_authority_that_forgot_the_account_is_told_again(pebble, publish, tmp_path):
    Authority(terms(pebble), str(tmp_path)).issue(HOSTS[:1], publish)
    pebble.end()
    pebble.start()
    pem = Authority(terms(pebble), str(tmp_path)).issue(HOSTS[:1], publish)
    assert certificate_facts(pem).hosts == HOSTS[:1]


def test_a_host_that_does_not_answer_is_named_with_what_was_found_there(pebble, publish, tmp_path):
    def silent(challenges):
        publish([(token, f"{answer}x") for token, answer in challenges])

    with pytest.raises(Denied, match=r"does not see that shop\.example\.org is ours: .*") as caught:
        Authority(terms(pebble), str(tmp_path)).issue(HOSTS[:1], silent)
    assert "port 80" in caught.value.hint
    assert publish.seen == [1, 0]


def test_what_an_authority_refuses_is_in_its_own_words(pebble, publish, tmp_path):
    with pytest.raises(Denied, match=r"the authority https://localhost:\d+/dir refuses: .*"):
        Authority(terms(pebble), str(tmp_path)).issue(("bad_name.example.org",), publish)
    with pytest.raises(Denied, match="refuses"):
        Authority(terms(pebble, email="no address"), str(tmp_path / "other")).issue(HOSTS, publish)


def test_an_authority_that_is_not_there_or_not_trusted(pebble, publish, tmp_path):
    nowhere = f"https://localhost:{free_port()}/dir"
    with pytest.raises(Unavailable, match="cannot be reached: Connection refused"):
        Authority(Terms(nowhere, trust=pebble.trust), str(tmp_path)).issue(HOSTS, publish)
    with pytest.raises(Unavailable, match=r"is not trusted: .*certificate verify failed") as caught:
        Authority(Terms(pebble.directory), str(tmp_path)).issue(HOSTS, publish)
    assert "acme.trust" in caught.value.hint
    with pytest.raises(Unavailable, match="does not speak ACME"):
        Authority(Terms(pebble.directory.replace("/dir", "/nonce-plz"), trust=pebble.trust), str(tmp_path)).issue(
            HOSTS, publish
        )
    assert publish.seen == []


def test_accounts_that_must_be_bound(balancer, publish, tmp_path):
    secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    made = Pebble(tmp_path, balancer.ensure().http, binding={"kid-1": secret})
    try:
        with pytest.raises(Denied, match="takes only those whom it knows already") as caught:
            Authority(terms(made), str(tmp_path / "one")).issue(HOSTS, publish)
        assert "acme.key_id" in caught.value.hint
        with pytest.raises(Denied, match="refuses"):
            Authority(terms(made, key_id="kid-2", hmac_key=secret), str(tmp_path / "two")).issue(HOSTS, publish)
        bound = Authority(terms(made, key_id="kid-1", hmac_key=secret), str(tmp_path / "three"))
        assert certificate_facts(bound.issue(HOSTS, publish)).hosts == HOSTS
    finally:
        made.stop()


def test_several_at_once_share_an_account(pebble, publish, tmp_path):
    lock, shared, errors = threading.Lock(), {}, []

    def work(host):
        def mine(challenges):
            with lock:
                shared[host] = list(challenges)
                publish([one for given in shared.values() for one in given])

        try:
            Authority(terms(pebble), str(tmp_path)).issue((host,), mine)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(host,)) for host in HOSTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(list(tmp_path.glob("account-*.json"))) == 1
