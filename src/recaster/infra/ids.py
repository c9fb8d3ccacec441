"""Prefixed ids as the contract names them. Randomness and time are passed in; ids are opaque to everyone else.

`prj_<uuid>` and the like for things, `job_<ULID>` and the like for things that are sorted by time.
"""

from __future__ import annotations

import re
import secrets
import threading
import uuid
from collections.abc import Callable
from typing import Final

from ulid import ULID

from recaster.infra.clock import Clock, to_milliseconds

UUID_PREFIXES: Final = frozenset(
    {"org", "prj", "cnt", "inf", "sa", "lay", "key", "ast", "med", "src", "res", "whe", "whd"}
)
"""Ids that hold a random UUID."""
ULID_PREFIXES: Final = frozenset({"job", "req", "evt", "led", "aud"})
"""Ids that hold a ULID and therefore sort by time."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)


class IdFactory:
    """Makes ids from a source of randomness (`random_bytes(n) -> n bytes`) and a clock."""

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._mutex = threading.Lock()
        self._last = (0, 0)

    def new(self, prefix: str) -> str:
        """Make an id of the kind that `prefix` names.

        Raises:
            KeyError: nobody declared this prefix.
        """
        if prefix in UUID_PREFIXES:
            return f"{prefix}_{uuid.UUID(bytes=self._random_bytes(16), version=4)}"
        if prefix in ULID_PREFIXES:
            return f"{prefix}_{ULID.from_bytes(self._next_ulid())}"
        raise KeyError(prefix)

    def _next_ulid(self) -> bytes:
        # Within a millisecond each is above the one before (by a random step), so that what one process writes sorts.
        with self._mutex:
            stamp = to_milliseconds(self._clock.now())
            drawn = int.from_bytes(self._random_bytes(10), "big")
            last_stamp, last = self._last
            if stamp <= last_stamp and last + (drawn >> 40) + 1 < 1 << 80:
                stamp, drawn = last_stamp, last + (drawn >> 40) + 1
            self._last = (stamp, drawn)
            return stamp.to_bytes(6, "big") + drawn.to_bytes(10, "big")

    def token(self, length: int) -> bytes:
        """Return `length` random bytes, for secrets."""
        return self._random_bytes(length)


def parse_id(prefix: str, text: str, *, bare: bool = False) -> str | None:
    """Return the canonical form of an id, or None where `text` cannot be one (which is the same as unknown).

    `bare` also accepts the UUID without its prefix, as the contract does for projects.
    """
    head, separator, tail = text.partition("_")
    if not separator and bare:
        head, tail = prefix, text
    if head != prefix:
        return None
    if prefix in UUID_PREFIXES:
        tail = tail.lower()
        return f"{prefix}_{tail}" if _UUID.fullmatch(tail) else None
    return f"{prefix}_{tail}" if _ULID.fullmatch(tail) else None
