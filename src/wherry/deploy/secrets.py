"""Secrets at rest: encrypted with a key that lies in a file of its own, readable by the installation's owner alone.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits for each text. What a text belongs to is authenticated with
it, so a row that somebody moves to another place does not decrypt there.
"""

from __future__ import annotations

import os

from wherry.base.errors import Corrupt, Unavailable
from wherry.base.files import atomic_write, ensure_directory
from wherry.base.locks import FileLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Vault"]

_NONCE = 12
_KEY = 32


class Vault:
    """Encrypts and decrypts with the key in the file `path`, which is made when it is first needed.

    Without that file nothing that was encrypted can be read again: it belongs into a backup, apart from the database.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def seal(self, text: str, place: str) -> bytes:
        """`text` encrypted for `place`: a description of what it belongs to, which `unseal` is given too."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher(make=True).encrypt(nonce, text.encode(), place.encode())

    def unseal(self, sealed: bytes, place: str) -> str:
        """The text again. Raises Corrupt where key, place and bytes do not fit; Unavailable without the key."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher(make=False).decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode()).decode()
        except (InvalidTag, ValueError):
            raise Corrupt(
                f"a secret of {place} cannot be decrypted", hint=f"{self._path} is not the key it was encrypted with"
            ) from None

    def mark(self, text: str) -> str:
        """64 hexadecimal digits, the same for the same text, that tell nothing of it to whoever lacks the key."""
        from hashlib import sha256
        from hmac import digest

        return digest(digest(self._key(make=True), b"mark", sha256), text.encode(), sha256).hex()

    def _cipher(self, *, make: bool) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key(make=make))

    def _key(self, *, make: bool) -> bytes:
        key = self._read()
        if not key and make:
            ensure_directory(os.path.dirname(self._path), 0o700)
            with FileLock(f"{self._path}.lock"):
                key = self._read() or self._make()
        if not key:
            raise Unavailable(f"the key of the secrets, {self._path}, is gone", hint="put it back from a backup")
        if len(key) != _KEY:
            raise Corrupt(f"the key of the secrets, {self._path}, is not {_KEY} bytes long")
        return key

    def _read(self) -> bytes:
        try:
            with open(self._path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def _make(self) -> bytes:
        key = os.urandom(_KEY)
        atomic_write(self._path, key, mode=0o600)
        return key
