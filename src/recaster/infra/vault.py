"""Seals secrets that have to be stored, such as cookies: AES-256-GCM, bound to the place where they lie.

A sealed value that is copied to another place does not open there. The key comes from the settings or a file beside the
database, never from the database: a dump alone is useless.
"""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recaster.errors import RecasterError

_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12


class SealBroken(RecasterError):
    """A stored secret cannot be opened: another key, another place, or changed bytes."""


class Vault:
    """Seals and opens with one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, content: bytes, place: str) -> bytes:
        """Encrypt `content` for `place`, for example `operator/tiktok-cookies`."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, content, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what was sealed for `place`.

        Raises:
            SealBroken: it was sealed with another key or for another place, or was changed.
        """
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _FORMAT:
                raise InvalidTag
            return self._cipher.decrypt(nonce, body, place.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(
                f"The stored secret '{place}' cannot be opened with this server's key. If the key file was replaced, "
                "restore it from a backup or store the secret anew."
            ) from error
