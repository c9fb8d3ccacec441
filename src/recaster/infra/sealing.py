"""Encrypting small secrets before they go into the database: AES-256-GCM, bound to the place where they stand.

A sealed value opens only with the same context (organization, table, row), so that one row's value is worthless in
another's, and only with a key that the database does not hold. The first key seals, every key opens: put a new key in
front, seal everything anew, then drop the old one.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


class SealingError(RuntimeError):
    """A sealed value does not open: another key, another place, or damage."""


class Sealer:
    """Seals and opens with a ring of 32-byte keys."""

    def __init__(self, keys: Sequence[bytes], random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if not keys:
            raise SealingError(
                "There is no key to seal with. Set RECASTER_SEALING_KEY or restore home/secrets/sealing."
            )
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._current = _key_id(keys[0])
        self._random_bytes = random_bytes

    def seal(self, secret: bytes, *, context: str) -> str:
        """Return `secret` encrypted as text: `v1.<key id>.<base64url of nonce and ciphertext>`."""
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, secret, context.encode())
        return f"v1.{self._current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, *, context: str) -> bytes:
        """Return what was sealed in the same context.

        Raises:
            SealingError: its key is not in the ring, the context is another one, or the text was changed.
        """
        version, _, rest = sealed.partition(".")
        key_id, _, payload = rest.partition(".")
        cipher = self._ciphers.get(key_id)
        if version != "v1" or cipher is None:
            raise SealingError(
                f"A secret was sealed with the key {key_id!r}, which is not in the ring. Add it to RECASTER_SEALING_KEY."
            )
        raw = base64.urlsafe_b64decode(payload)
        try:
            return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode())
        except InvalidTag as error:
            raise SealingError(f"A sealed secret does not belong to {context}, or was changed.") from error

    def is_current(self, sealed: str) -> bool:
        """Tell whether the first key of the ring sealed this value."""
        return sealed.startswith(f"v1.{self._current}.")


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"recaster sealing key id" + key).hexdigest()[:8]
