import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from wherry.base.errors import Conflict, InvalidInput
from wherry.base.paths import Layout
from wherry.deploy.balancer import Listener
from wherry.deploy.certificates import certificate_facts
from wherry.deploy.model import Environment
from wherry.deploy.tls import (
    certificates,
    challenges,
    check_tls,
    covers,
    forget,
    keep_challenges,
    keep_own,
    kept,
)

NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)
BOTH = Listener("", 80, 443)


@pytest.fixture
def layout(tmp_path):
    return Layout(str(tmp_path / "root"), str(tmp_path / "run"))


def environment(tls="off", name="shop", host="shop.localhost"):
    return Environment(name, "shop", host, 0, settings={"tls": tls})


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Issued:
    """A certificate for tests; without an issuer it is its own."""

    def __init__(self, name, issuer=None, hosts=(), begins=-1, ends=90, key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name, day = name, datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(
            (issuer or self).subject, named(name), self.key.public_key(), x509.random_serial_number()
        )
        builder = builder.not_valid_before(NOW + begins * day).not_valid_after(NOW + ends * day)
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        self.certificate = builder.sign((issuer or self).key, SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def subject(self):
        return named(self.name)

    def key_pem(self, encryption=None):
        form = PrivateFormat.PKCS8
        return self.key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


ROOT = Issued("root")
MIDDLE = Issued("middle", ROOT)
LEAF = Issued("leaf", MIDDLE, ("shop.example.org", "*.shop.example.org"))


def keep(layout, certificate=LEAF.pem + MIDDLE.pem + ROOT.pem, key=None, **more):
    return keep_own(layout, "shop", certificate, LEAF.key_pem() if key is None else key, now=NOW.timestamp(), **more)


# --- which certificates there are


def test_off_shows_none_and_local_the_authoritys_own(layout):
    assert certificates(layout, environment(), ("shop.localhost",)) == ()
    hosts = ("shop.localhost", "shop.example.org")
    (one,) = certificates(layout, environment("local"), hosts)
    assert certificate_facts(one.pem).hosts == ("shop.localhost",)
    assert certificates(layout, environment("local"), hosts) == (one,)
    assert certificates(layout, environment("local"), ("shop.example.org",)) == ()


def test_own_shows_what_is_kept_and_nothing_before(layout):
    assert certificates(layout, environment("own"), ("shop.example.org",)) == ()
    assert keep(layout).hosts == ("shop.example.org", "*.shop.example.org")
    (one,) = certificates(layout, environment("own"), ("whatever.example.org",))
    assert one.name == "own"
    assert one.pem == LEAF.key_pem() + LEAF.pem + MIDDLE.pem + ROOT.pem
    assert certificates(layout, environment("own", name="other"), ("shop.example.org",)) == ()
    assert certificates(layout, environment("acme"), ("shop.example.org",)) == ()
    assert forget(layout, "shop", "own")
    assert not forget(layout, "shop", "own")
    assert certificates(layout, environment("own"), ("shop.example.org",)) == ()


# --- what is brought


def test_what_is_kept_is_for_the_owner_alone(layout, tmp_path):
    keep(layout)
    path = tmp_path / "root/environments/shop/tls"
    assert path.stat().st_mode & 0o77 == 0
    assert (path / "own.pem").stat().st_mode & 0o77 == 0


OTHER = Issued("other")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"certificate": "nothing"}, "the certificate cannot be read"),
        ({"key": "nothing"}, "the private key cannot be read"),
        ({"key": LEAF.key_pem(BestAvailableEncryption(b"x"))}, "the private key has a passphrase"),
        ({"key": OTHER.key_pem()}, "the private key is not the one of the certificate"),
        ({"certificate": MIDDLE.pem + LEAF.pem}, "not the one of the certificate, which has to come before its chain"),
        ({"certificate": LEAF.pem + ROOT.pem + MIDDLE.pem}, "disorder: CN=root did not issue CN=leaf"),
        ({"certificate": LEAF.pem + MIDDLE.pem + OTHER.pem}, "disorder: CN=other did not issue CN=middle"),
        ({"hosts": ("shop.example.org", "example.org")}, "the certificate is not for example.org"),
    ],
)
def test_what_cannot_serve_is_refused_and_what_was_kept_stays(layout, given, words):
    keep(layout)
    with pytest.raises(InvalidInput, match=words):
        keep(layout, **given)
    assert kept(layout, "shop", "own").pem.startswith(LEAF.key_pem())


@pytest.mark.parametrize(
    ("issued", "words"),
    [
        (Issued("old", MIDDLE, begins=-9, ends=-1), "expired on 2026-11-24"),
        (Issued("new", MIDDLE, begins=3), "not valid before 2026-11-28"),
        (Issued("weak", MIDDLE, key=rsa.generate_private_key(65537, 1024)), "has 1024 bits, which is too few"),
        (Issued("odd", MIDDLE, key=ed25519.Ed25519PrivateKey.generate()), "of a kind that browsers do not take"),
    ],
)
def test_times_and_kinds_of_keys(layout, issued, words):
    with pytest.raises(InvalidInput, match=words):
        keep(layout, issued.pem + MIDDLE.pem, issued.key_pem())
    assert kept(layout, "shop", "own") is None


def test_an_rsa_key_and_a_certificate_without_its_chain_will_do(layout):
    issued = Issued("rsa", MIDDLE, ("shop.example.org",), key=rsa.generate_private_key(65537, 2048))
    assert keep(layout, issued.pem, issued.key_pem(), hosts=("shop.example.org",)).hosts == ("shop.example.org",)


def test_a_star_stands_for_one_label():
    names = ("example.org", "*.example.org")
    assert [covers(names, host) for host in ("example.org", "a.example.org", "A.Example.ORG")] == [True] * 3
    assert not covers(names, "a.b.example.org")
    assert not covers(("*.example.org",), "example.org")
    assert not covers((), "org")


# --- what is set


def test_without_https_nothing_but_off_can_be_set(layout):
    assert check_tls(layout, environment(), ("x",), Listener(), 0) == ()
    for kind in ("local", "own", "acme"):
        with pytest.raises(Conflict, match=f"tls={kind}: the load balancer does not listen for https"):
            check_tls(layout, environment(kind), ("x",), Listener(), 0)


def test_a_redirect_to_nothing_is_told(layout):
    without = environment()._replace(settings={"redirect": "on"})
    assert check_tls(layout, without, ["shop.localhost"], BOTH, 0) == ("redirect=on does nothing while tls=off",)


def test_what_cannot_come_true_is_said_when_it_is_set(layout):
    def check(kind, *hosts):
        return check_tls(layout, environment(kind), hosts, BOTH, NOW.timestamp())

    assert check("local", "shop.localhost", "localhost") == ()
    with pytest.raises(InvalidInput, match=r"does not vouch for shop\.example\.org"):
        check("local", "shop.localhost", "shop.example.org")
    assert check("acme", "shop.example.org") == ()
    with pytest.raises(InvalidInput, match=r"no public authority vouches for shop\.localhost"):
        check("acme", "shop.localhost")
    with pytest.raises(Conflict, match="no certificate is kept for shop"):
        check("own", "shop.example.org")
    keep(layout)
    assert check("own", "shop.example.org") == ()
    assert check("own", "example.org") == (
        "the certificate is for shop.example.org, *.shop.example.org and not for example.org",
    )
    later = (NOW + datetime.timedelta(days=91)).timestamp()
    assert check_tls(layout, environment("own"), ("shop.example.org",), BOTH, later) == (
        "the certificate expired on 2027-02-23",
    )


def test_challenges_are_kept_until_there_are_none(layout):
    assert challenges(layout, "shop") == ()
    keep_challenges(layout, "shop", [("a", "a.b"), ("c", "c.d")])
    assert challenges(layout, "shop") == (("a", "a.b"), ("c", "c.d"))
    assert challenges(layout, "other") == ()
    keep_challenges(layout, "shop", ())
    keep_challenges(layout, "shop", ())
    assert challenges(layout, "shop") == ()
