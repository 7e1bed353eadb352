import os
import ssl
import time

import pytest

from wherry.base.errors import InvalidInput
from wherry.deploy.certificates import LocalAuthority, certificate_facts


@pytest.fixture
def authority(tmp_path):
    return LocalAuthority(str(tmp_path / "authority"))


def handshake(pem, trusted, host, tmp_path):
    """Whether a client that trusts `trusted` accepts a server with this certificate as `host`."""
    (tmp_path / "server.pem").write_text(pem)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=trusted)
    server.load_cert_chain(tmp_path / "server.pem")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=host)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return True


def test_who_trusts_the_authority_trusts_what_it_issues_for_these_names_alone(authority, tmp_path):
    pem = authority.issue("shop", ("shop.localhost", "www.shop.localhost")).pem
    assert handshake(pem, authority.certificate(), "shop.localhost", tmp_path)
    assert handshake(pem, authority.certificate(), "www.shop.localhost", tmp_path)
    assert not handshake(pem, authority.certificate(), "other.localhost", tmp_path)
    assert not handshake(pem, LocalAuthority(str(tmp_path / "other")).certificate(), "shop.localhost", tmp_path)


def test_it_vouches_for_nothing_else(authority, monkeypatch, tmp_path):
    for host in ("example.com", "localhost.example.com", "notlocalhost"):
        with pytest.raises(InvalidInput, match="does not vouch"):
            authority.issue("x", (host,))
    trusted = authority.certificate()
    pem = authority._make(("example.com",))  # as somebody would who got hold of the key
    assert not handshake(pem, trusted, "example.com", tmp_path)


def test_a_certificate_is_issued_once_and_again_when_it_has_to_be(authority, monkeypatch):
    first = authority.issue("shop", ("shop.localhost",))
    assert authority.issue("shop", ("shop.localhost",)) == first
    assert first.name == "shop"
    facts = certificate_facts(first.pem)
    assert facts.hosts == ("shop.localhost",)
    assert facts.begins < time.time() < facts.ends < time.time() + 398 * 86_400
    assert authority.issue("shop", ("shop.localhost", "b.localhost")) != first
    later = time.time() + 380 * 86_400
    again = authority.issue("shop", ("shop.localhost",))
    monkeypatch.setattr(time, "time", lambda: later)
    assert authority.issue("shop", ("shop.localhost",)) != again


def test_files_are_for_the_owner_alone(authority):
    authority.issue("shop", ("shop.localhost",))
    directory = authority._directory
    assert os.stat(directory).st_mode & 0o777 == 0o700
    for name in os.listdir(directory):
        assert os.stat(f"{directory}/{name}").st_mode & 0o777 == 0o600


def test_what_a_user_brings_is_looked_at(authority):
    one, other = (authority.issue(name, (f"{name}.localhost",)).pem for name in ("one", "other"))
    key, mark, certificates = one.partition("-----BEGIN CERTIFICATE-----")
    assert certificate_facts(mark + certificates + key).hosts == ("one.localhost",)
    other_key = other.partition(mark)[0]
    with pytest.raises(InvalidInput, match="not the one of the certificate"):
        certificate_facts(other_key + mark + certificates)
    for wrong in ("", key, mark + certificates, "x" + mark + "AA==\n-----END CERTIFICATE-----\n"):
        with pytest.raises(InvalidInput):
            certificate_facts(wrong)
