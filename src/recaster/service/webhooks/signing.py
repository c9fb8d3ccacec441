"""Signing what is sent: both schemes of contract section 7 over the very bytes of the body. Pure.

Standard Webhooks 1.0: `webhook-signature: v1,<base64 HMAC-SHA-256 over "id.timestamp.body">` with the decoded secret, one
per valid secret, separated by spaces. The partner scheme: `X-Layers-Signature: t=<unix>,v1=<hex HMAC-SHA-256 over
"t.body">` with the secret as it is written (`whsec_…`), one `v1=` per valid secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

SECRET_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def write_secret(random: bytes) -> str:
    """Write random bytes as a signing secret."""
    return SECRET_PREFIX + base64.b64encode(random).decode()


def signature_headers(event_id: str, body: bytes, timestamp: int, secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers of one try. `timestamp` is Unix time in seconds; `secrets` are all that are valid, newest first."""
    standard = " ".join(_standard(event_id, body, timestamp, secret) for secret in secrets)
    partner = ",".join(f"v1={_partner(body, timestamp, secret)}" for secret in secrets)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": standard,
        "X-Layers-Event-Id": event_id,
        "X-Layers-Signature": f"t={timestamp},{partner}",
    }


def _standard(event_id: str, body: bytes, timestamp: int, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def _partner(body: bytes, timestamp: int, secret: str) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
