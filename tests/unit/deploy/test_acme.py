import pytest

from wherry.base.errors import Conflict, Denied
from wherry.base.locks import FileLock
from wherry.base.paths import Layout
from wherry.compose.location import ProjectOptions
from wherry.deploy.acme import Attempt, is_due, issue, last_attempt, renew_due
from wherry.deploy.applications import Applications
from wherry.deploy.balancer import Listener
from wherry.deploy.certificates import CertificateFacts, LocalAuthority
from wherry.deploy.environments import Environments
from wherry.deploy.fakes import World, fake_parts
from wherry.deploy.membership import Membership
from wherry.deploy.tls import Kept, kept

DAY = 86_400.0
MODEL = {"services": {"web": {"image": "web", "ports": [{"target": 80}]}}, "networks": {"default": {}}}


class Issuing:
    """Gives certificates of a local authority for whatever host, which is what is asked of it; or refuses."""

    def __init__(self, root):
        self._authority, self.asked, self.refuses, self.seen = LocalAuthority(f"{root}/issuing"), [], False, []
        self.parts = None

    def issue(self, hosts, publish):
        self.asked.append(tuple(hosts))
        publish([("token", "token.answer")])
        self.seen.append(self.parts.balancer.sections()["shop"].challenges)
        publish(())
        if self.refuses:
            raise Denied("the authority does not like it")
        return self._authority.issue("x", ["shop.localhost"]).pem


@pytest.fixture
def parts(tmp_path):
    made = fake_parts(Layout(str(tmp_path / "root"), str(tmp_path / "run")), World())
    made = made._replace(listener=Listener("127.0.0.1", 80, 443))
    made.versions.models["/project"] = MODEL
    Applications(made).add_version("shop", ProjectOptions({}, "/project"))
    environments = Environments(made, "me")
    environments.create("shop", "shop", "v1")
    environments.create("plain", "shop", "v1")
    made.records.change_environment("shop", settings={"tls": "acme"})
    return made


@pytest.fixture
def authority(tmp_path, parts):
    made = Issuing(tmp_path)
    made.parts = parts
    return made


def events(parts):
    return [(one.severity, one.message) for one in parts.records.history.events("shop")]


# --- when


def certificate(ends, hosts=("a", "b"), begins=0.0):
    return Kept("", CertificateFacts(hosts, begins, ends))


def test_less_than_a_third_of_the_time_is_when_to_renew():
    found = certificate(90 * DAY)
    assert not is_due(found, ("a",), Attempt(), 59 * DAY)
    assert is_due(found, ("a",), Attempt(), 61 * DAY)
    assert is_due(found, ("a",), Attempt(), 91 * DAY)
    assert not is_due(certificate(6 * DAY), ("b", "a"), Attempt(), 3.9 * DAY)
    assert is_due(certificate(6 * DAY), ("b", "a"), Attempt(), 4.1 * DAY)


def test_what_is_missing_or_for_other_hosts_is_due_at_once_and_where_there_are_no_hosts_nothing_is():
    assert is_due(None, ("a",), Attempt(), 0)
    assert is_due(certificate(90 * DAY), ("a", "c"), Attempt(), 0)
    assert not is_due(None, (), Attempt(), 0)


def test_after_a_failure_there_is_a_wait_unless_other_hosts_are_wanted():
    failed = Attempt(("a",), 1, "no", 300.0)
    assert not is_due(None, ("a",), failed, 299)
    assert is_due(None, ("a",), failed, 300)
    assert is_due(None, ("b",), failed, 299)


# --- doing it


def test_what_is_due_is_issued_once_and_shown(parts, authority):
    assert renew_due(parts, authority) == ["shop"]
    assert renew_due(parts, authority) == []
    assert authority.asked == [("shop.localhost",)]
    assert authority.seen == [(("token", "token.answer"),)]
    section = parts.balancer.sections()["shop"]
    assert section.challenges == ()
    assert section.certificates[0].pem == kept(parts.layout, "shop", "acme").pem
    severity, words = events(parts)[-1]
    assert severity == "INFO"
    assert words.startswith("Certificate for shop.localhost issued; it is valid until 20")


def test_nobody_is_sent_to_https_before_there_is_a_certificate(parts, authority):
    parts.records.change_environment("shop", settings={"tls": "acme", "redirect": "on"})
    Membership(parts).hold("shop")
    assert not any(rule.secure for rule in parts.balancer.sections()["shop"].rules)
    renew_due(parts, authority)
    assert all(rule.secure for rule in parts.balancer.sections()["shop"].rules)


def test_a_failure_is_told_and_tried_again_later_and_later(parts, authority):
    authority.refuses = True
    waits = []
    for _ in range(9):
        assert renew_due(parts, authority) == []
        assert renew_due(parts, authority) == []
        again = last_attempt(parts.layout, "shop").again
        waits.append(again - parts.clock() / 1e9)
        parts.pause(waits[-1])
    assert [round(one) for one in waits] == [300, 600, 1200, 2400, 4800, 9600, 19200, 21600, 21600]
    assert len(authority.asked) == 9
    severity, words = events(parts)[-1]
    assert severity == "ERROR"
    assert words.startswith("No certificate for shop.localhost was issued: the authority does not like it. The next")
    assert parts.balancer.sections()["shop"].challenges == ()
    authority.refuses = False
    assert renew_due(parts, authority) == ["shop"]
    assert last_attempt(parts.layout, "shop") == Attempt()


def test_what_is_kept_stays_where_renewing_fails(parts, authority):
    renew_due(parts, authority)
    before = kept(parts.layout, "shop", "acme")
    parts.pause(before.facts.ends - parts.clock() / 1e9 - 10 * DAY)
    authority.refuses = True
    renew_due(parts, authority)
    assert kept(parts.layout, "shop", "acme") == before
    assert events(parts)[-1][0] == "WARN"
    assert "The one there is expires 20" in events(parts)[-1][1]
    parts.pause(10 * DAY + 1)
    renew_due(parts, authority)
    assert events(parts)[-1][0] == "ERROR"
    assert "The one there is expired 20" in events(parts)[-1][1]


def test_what_another_process_is_about_is_left_to_it(parts, authority):
    with FileLock(f"{parts.layout.locks}/acme-shop"):
        assert renew_due(parts, authority) == []
    assert authority.asked == []


# --- by hand


def test_issued_by_hand_whether_due_or_not(parts, authority):
    assert issue(parts, "shop", authority).hosts == ("shop.localhost",)
    assert issue(parts, "shop", authority).hosts == ("shop.localhost",)
    assert len(authority.asked) == 2
    authority.refuses = True
    with pytest.raises(Denied):
        issue(parts, "shop", authority)


def test_what_cannot_be_is_said(parts, authority):
    with pytest.raises(Conflict, match="plain does not get its certificate by ACME"):
        issue(parts, "plain", authority)
    deaf = parts._replace(listener=Listener("127.0.0.1", 0, 443))
    with pytest.raises(Conflict, match="does not listen for http"):
        issue(deaf, "shop", authority)
    assert authority.asked == []
