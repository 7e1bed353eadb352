"""Certificates from an authority that speaks ACME (RFC 8555), by the `acme` library.

An account is one key, made when it is first needed and kept before the authority hears of it, so that a process that is
killed at any moment leaves an account that the next one finds again.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager

from wherry.base.errors import Conflict, Denied, Unavailable
from wherry.base.files import atomic_write, ensure_directory, read_text
from wherry.base.locks import FileLock
from wherry.base.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from acme import client, messages
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from josepy.jwk import JWK
    from requests import Response

    Publish = Callable[[Sequence[tuple[str, str]]], None]

__all__ = ["Authority", "Terms"]

_SECONDS = 120.0  # until an authority has looked and decided
_REQUEST_SECONDS = 30
_NONCES = 5  # times that a request is sent anew because its nonce is refused
_HINT = "each name has to lead to this machine, and port 80 of it to the load balancer"


class Terms(NamedTuple):
    """Which authority, and how it is spoken to. `trust` is a file of CAs; empty for those that everybody trusts.

    `email` is told to the authority where it is given. `key_id` and `hmac_key` (Base64 for URLs) bind the account to
    one that exists there already, where the authority asks for that.
    """

    directory: str
    email: str = ""
    trust: str = ""
    key_id: str = ""
    hmac_key: str = ""


class Authority:
    """An authority, and the account with it in the directory `place`. Used by one thread at a time."""

    def __init__(self, terms: Terms, place: str) -> None:
        from hashlib import sha256

        self._terms = terms
        self._path = f"{place}/account-{sha256(terms.directory.encode()).hexdigest()[:12]}.json"

    def issue(self, hosts: Sequence[str], publish: Publish, seconds: float = _SECONDS) -> str:
        """A certificate for these hosts: its key, itself and its chain in PEM.

        `publish` is called with the tokens and answers that `/.well-known/acme-challenge/` has to give on all hosts,
        and with nothing when they are no longer asked for, whatever happened.
        Raises Denied with the authority's own words, Unavailable where it cannot be reached or does not decide in time.
        """
        with self._in_words(seconds):
            speaker = self._client()
            try:
                return _order(speaker, hosts, publish, seconds)
            except Exception as error:
                if not _is_unknown_account(error):
                    raise
            self._forget_registration()
            return _order(self._client(), hosts, publish, seconds)

    # --- the account

    def _client(self) -> client.ClientV2:
        """One that is known to the authority."""
        from typing import cast

        from acme import client, messages
        from josepy.jwa import ES256
        from josepy.jwk import JWKEC

        ensure_directory(os.path.dirname(self._path), 0o700)
        with FileLock(f"{self._path}.lock"):
            kept = self._account()
            key = cast("JWKEC", JWKEC.from_json(kept["key"]))
            network = client.ClientNetwork(key, alg=ES256, user_agent="wherry", timeout=_REQUEST_SECONDS)
            network.post = persistent(network.post)  # type: ignore[method-assign]
            if self._terms.trust:
                network.verify_ssl = self._terms.trust  # type: ignore[assignment]  # requests takes a path, too
            speaker = client.ClientV2(client.ClientV2.get_directory(self._terms.directory, network), network)
            if "uri" in kept:
                network.account = messages.RegistrationResource(body=messages.Registration(), uri=kept["uri"])
            else:
                self._write({**kept, "uri": self._register(speaker, key)})
            return speaker

    def _account(self) -> dict[str, Any]:
        from cryptography.hazmat.primitives.asymmetric import ec
        from josepy.jwk import JWKEC
        from josepy.util import ComparableECKey

        text = read_text(self._path)
        if text:
            found: dict[str, Any] = json.loads(text)
            return found
        key = JWKEC(key=ComparableECKey(ec.generate_private_key(ec.SECP256R1())))
        return self._write({"directory": self._terms.directory, "key": key.to_json()})

    def _register(self, speaker: client.ClientV2, key: JWK) -> str:
        """Where the authority keeps the account; one that it has already for the key is found again."""
        from acme import errors, messages

        binding = None
        if self._terms.key_id:
            binding = messages.ExternalAccountBinding.from_data(
                key.public_key(), self._terms.key_id, self._terms.hmac_key, speaker.directory
            )
        elif speaker.external_account_required():
            raise Denied(
                f"the authority {self._terms.directory} takes only those whom it knows already",
                hint="set acme.key_id and acme.hmac_key, which it gives you, in /etc/wherry/config.toml",
            )
        account = messages.NewRegistration.from_data(
            email=self._terms.email or None, external_account_binding=binding, terms_of_service_agreed=True
        )
        try:
            return str(speaker.new_account(account).uri)
        except errors.ConflictError as known:
            speaker.net.account = messages.RegistrationResource(body=messages.Registration(), uri=known.location)
            return str(known.location)

    def _forget_registration(self) -> None:
        with FileLock(f"{self._path}.lock"):
            self._write({name: value for name, value in self._account().items() if name != "uri"})

    def _write(self, account: dict[str, Any]) -> dict[str, Any]:
        atomic_write(self._path, json.dumps(account).encode(), mode=0o600)
        return account

    # --- errors

    @contextmanager
    def _in_words(self, seconds: float) -> Iterator[None]:
        """Every error of the library's as one that says what to do."""
        import josepy
        import requests
        from acme import errors, messages

        where = f"the authority {self._terms.directory}"
        try:
            yield
        except errors.ValidationError as error:
            raise Denied("; ".join(_refusals(error.failed_authzrs)), hint=_HINT) from None
        except errors.IssuanceError as error:
            raise Denied(f"{where} refuses: {_words(error.error)}") from None
        except messages.Error as error:
            raise Denied(f"{where} refuses: {_words(error)}") from None
        except errors.TimeoutError:
            raise Unavailable(f"{where} has not decided within {seconds:g} s", hint=_HINT) from None
        except requests.exceptions.SSLError as error:
            hint = "`acme.trust` in /etc/wherry/config.toml names a file of authorities to be trusted"
            raise Unavailable(f"{where} is not trusted: {_cause(error)}", hint=hint) from None
        except requests.exceptions.RequestException as error:
            raise Unavailable(f"{where} cannot be reached: {_cause(error)}") from None
        except (errors.Error, josepy.errors.Error, ValueError, KeyError, AttributeError) as error:
            raise Unavailable(f"{where} does not speak ACME as it should: {type(error).__name__}: {error}") from None


def persistent(post: Callable[..., Response]) -> Callable[..., Response]:
    """`post`, sent anew while the authority refuses its nonce (RFC 8555, section 6.5), which may happen several times.

    The library itself sends twice, which is too few for an authority that refuses some nonces on purpose.
    """
    from acme import messages

    def call(*values: Any, **named: Any) -> Response:
        for _ in range(_NONCES - 1):
            try:
                return post(*values, **named)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return post(*values, **named)

    return call


def _order(speaker: client.ClientV2, hosts: Sequence[str], publish: Publish, seconds: float) -> str:
    from datetime import datetime, timedelta

    key, request = _request(hosts)
    order = speaker.new_order(request)
    account_key = speaker.net.key
    assert account_key is not None
    asked = [_challenge(one) for one in order.authorizations if one.body.status.name != "valid"]
    try:
        publish([(one.chall.encode("token"), one.chall.validation(account_key)) for one in asked])
        for one in asked:
            speaker.answer_challenge(one, one.chall.response(account_key))
        deadline = datetime.now() + timedelta(seconds=seconds)  # local, without a zone, as the library counts
        return key + str(speaker.poll_and_finalize(order, deadline).fullchain_pem)
    finally:
        publish(())


def _request(hosts: Sequence[str]) -> tuple[str, bytes]:
    """A new key, and the request for a certificate of it, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    key: EllipticCurvePrivateKey = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.add_extension(names, critical=False).sign(key, SHA256())
    from wherry.deploy.certificates import key_pem

    return key_pem(key), request.public_bytes(Encoding.PEM)


def _challenge(authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
    """The http-01 one. Raises Conflict where the authority looks in other ways alone."""
    for one in authorization.body.challenges:
        if one.chall.typ == "http-01":
            return one
    offered = ", ".join(one.chall.typ for one in authorization.body.challenges)
    raise Conflict(
        f"the authority looks at {authorization.body.identifier.value} by {offered or 'nothing'}, and never by http-01",
        hint="another authority does (`acme.directory` in /etc/wherry/config.toml)",
    )


def _is_unknown_account(error: Exception) -> bool:
    from acme import messages

    return isinstance(error, messages.Error) and error.code == "accountDoesNotExist"


def _refusals(failed: Sequence[messages.AuthorizationResource]) -> Iterator[str]:
    for one in failed:
        for challenge in one.body.challenges:
            if challenge.error is not None:
                yield f"the authority does not see that {one.body.identifier.value} is ours: {_words(challenge.error)}"


def _words(error: messages.Error) -> str:
    """What the authority said of it, with what it says of parts."""
    parts = [str(one.detail) for one in error.subproblems or () if one.detail]
    return "; ".join([str(error.detail or error.title or error.typ), *parts])


def _cause(error: BaseException) -> str:
    """The innermost reason, which is mostly what the operating system said."""
    reason = getattr(error, "reason", None)
    inner = reason if isinstance(reason, BaseException) else error.__context__
    if inner is not None:
        return _cause(inner)
    return str(getattr(error, "strerror", None) or error)
