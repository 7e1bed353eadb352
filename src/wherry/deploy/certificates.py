"""Certificates: reading what users bring, and a local authority for names below `localhost`.

Keys are ECDSA on P-256. The authority's own certificate may only vouch for `localhost` and names below it (name
constraints, RFC 5280 section 4.2.1.10), so that trusting it gives nothing else away.
"""

from __future__ import annotations

import os
from itertools import pairwise

from wherry.base.errors import InvalidInput
from wherry.base.files import atomic_write, ensure_directory, read_text
from wherry.base.locks import FileLock
from wherry.base.values import NamedTuple
from wherry.deploy.routing import Certificate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["CertificateFacts", "LocalAuthority", "certificate_facts", "is_local", "key_pem", "read_bundle"]

_DAYS, _RENEW_DAYS, _AUTHORITY_DAYS = 397, 30, 3650
_LEAST_BITS = 2048  # of RSA; OpenSSL refuses fewer


class CertificateFacts(NamedTuple):
    """What a certificate says: the hosts it is for, and from when to when it is valid, in seconds since 1970."""

    hosts: tuple[str, ...]
    begins: float
    ends: float


def certificate_facts(pem: str) -> CertificateFacts:
    """Of the first certificate in `pem`. Raises InvalidInput where there is none, or the key there is not its own."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise InvalidInput(f"the certificate cannot be read: {error}") from None
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"the certificate's private key cannot be read: {error}", hint="without a passphrase"
        ) from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise InvalidInput("the private key is not the one of the certificate, which has to come before its chain")
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return CertificateFacts(_hosts(certificate), begins, ends)


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def is_local(host: str) -> bool:
    """Whether the local authority may vouch for the host."""
    return host == "localhost" or host.endswith(".localhost")


def read_bundle(certificate_pem: str, private_pem: str, now: float) -> str:
    """A certificate, its chain and its key as one text: the key, then the certificate, then who issued it, and so on.

    Raises InvalidInput where the key is not the certificate's, the chain is in disorder, or it is not valid at `now`
    (seconds since 1970).
    """
    from cryptography import x509

    try:
        chain = x509.load_pem_x509_certificates(certificate_pem.encode())
    except ValueError as error:
        raise InvalidInput(f"the certificate cannot be read: {error}", hint="PEM is wanted") from None
    key = _readable_key(private_pem)
    pem = key + "".join(map(_certificate_pem, chain))
    certificate_facts(pem)
    _check_chain(chain)
    begins, ends = chain[0].not_valid_before_utc, chain[0].not_valid_after_utc
    if ends.timestamp() < now:
        raise InvalidInput(f"the certificate expired on {ends:%Y-%m-%d}")
    if begins.timestamp() > now:
        raise InvalidInput(f"the certificate is not valid before {begins:%Y-%m-%d}")
    return pem


def _readable_key(pem: str) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    try:
        key = load_pem_private_key(pem.encode(), None)
    except TypeError:
        raise InvalidInput("the private key has a passphrase", hint="`openssl pkey -in KEY` takes it off") from None
    except ValueError as error:
        raise InvalidInput(f"the private key cannot be read: {error}", hint="PEM is wanted") from None
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise InvalidInput("the private key is of a kind that browsers do not take", hint="RSA and ECDSA keys are")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _LEAST_BITS:
        raise InvalidInput(f"the private key has {key.key_size} bits, which is too few", hint=f"{_LEAST_BITS} at least")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _check_chain(chain: Sequence[x509.Certificate]) -> None:
    for one, issuer in pairwise(chain):
        try:
            one.verify_directly_issued_by(issuer)
        except Exception:  # noqa: BLE001 (ValueError, TypeError, InvalidSignature: all of them mean that it is not so)
            raise InvalidInput(
                f"the chain is in disorder: {_name_of(issuer)} did not issue {_name_of(one)}, which comes before it",
                hint="the certificate comes first, then the one that issued it, and so on",
            ) from None


def _name_of(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"certificate {certificate.serial_number:x}"


class LocalAuthority:
    """A certificate authority in `directory`, made when it is first needed; its key never leaves it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def certificate(self) -> str:
        """The authority's own certificate in PEM: what browsers and programs are told to trust."""
        with self._lock():
            return self._authority()[0]

    def issue(self, name: str, hosts: Sequence[str]) -> Certificate:
        """A certificate for these hosts, called `name`: the one issued before, while it is good for a month more.

        Raises InvalidInput for hosts that are neither `localhost` nor below it.
        """
        for host in hosts:
            if not is_local(host):
                raise InvalidInput(
                    f"the local authority does not vouch for {host}", hint="only for localhost and names below it"
                )
        path = f"{self._directory}/issued-{name}.pem"
        with self._lock():
            pem = read_text(path)
            if not self._is_good(pem, hosts):
                pem = self._make(hosts)
                atomic_write(path, pem.encode(), mode=0o600)
        return Certificate(name, pem)

    def _lock(self) -> FileLock:
        ensure_directory(self._directory, 0o700)
        return FileLock(f"{self._directory}/lock")

    def _is_good(self, pem: str, hosts: Sequence[str]) -> bool:
        import time

        if not pem.endswith(self._authority()[0]):
            return False
        facts = certificate_facts(pem)
        return facts.hosts == tuple(hosts) and facts.ends > time.time() + _RENEW_DAYS * 86_400

    def _authority(self) -> tuple[str, str]:
        """Its certificate and its key, in PEM; both come and go in one file."""
        text = read_text(f"{self._directory}/authority.pem")
        if not text:
            text = _new_authority()
            atomic_write(f"{self._directory}/authority.pem", text.encode(), mode=0o600)
        certificate, mark, key = text.partition("-----BEGIN PRIVATE KEY-----")
        return certificate, mark + key

    def _make(self, hosts: Sequence[str]) -> str:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509.oid import ExtendedKeyUsageOID

        authority_pem, authority_key_pem = self._authority()
        authority = x509.load_pem_x509_certificate(authority_pem.encode())
        authority_key = load_pem_private_key(authority_key_pem.encode(), None)
        assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        begins, ends = _validity(_DAYS)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        certificate = (
            x509.CertificateBuilder(authority.subject, _named(hosts[0]), key.public_key(), x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(issuer_id, critical=False)
            .sign(authority_key, SHA256())
        )
        return key_pem(key) + _certificate_pem(certificate) + authority_pem


def _new_authority() -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    key = ec.generate_private_key(ec.SECP256R1())
    name = _named(f"Wherry local authority on {os.uname().nodename}"[:64])
    begins, ends = _validity(_AUTHORITY_DAYS)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # certificates and revocations
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName("localhost")], None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return _certificate_pem(certificate) + key_pem(key)


def _named(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _validity(days: int) -> tuple[datetime, datetime]:
    """From an hour ago, for clocks that are late."""
    from datetime import UTC, datetime, timedelta

    begins = datetime.now(UTC) - timedelta(hours=1)
    return begins, begins + timedelta(days=days)


def _certificate_pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def key_pem(key: EllipticCurvePrivateKey) -> str:
    """The key in PEM, without a passphrase."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
