"""Request budgets: so many a minute per key and class, counted in fixed windows of one minute."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from recaster.infra.clock import Clock

WINDOW_SECONDS = 60
_PURGE_AT = 10_000


@dataclass(frozen=True, slots=True)
class RateState:
    """What a client may still do. `reset` is the Unix time at which the window ends."""

    rate_class: str
    limit: int
    remaining: int
    reset: int
    allowed: bool
    retry_after: int

    def headers(self) -> dict[str, str]:
        """Return the contract's four headers."""
        return {
            "X-RateLimit-Endpoint-Class": self.rate_class,
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class RateLimiter(Protocol):
    """Counts requests. One implementation counts in this process; one over several processes can take its place."""

    def hit(self, client: str, rate_class: str, limit: int) -> RateState:
        """Count one request of `client` if its budget allows, and say how it stands."""


class MemoryRateLimiter:
    """Counts in this process: right for the one API process of the embedded set-up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}

    def hit(self, client: str, rate_class: str, limit: int) -> RateState:
        """Count one request. A refused one does not count."""
        seconds = int(self._clock.now().timestamp())
        window = seconds - seconds % WINDOW_SECONDS
        with self._mutex:
            if len(self._counts) > _PURGE_AT:
                self._counts = {key: value for key, value in self._counts.items() if value[0] == window}
            started, count = self._counts.get((client, rate_class), (window, 0))
            if started != window:
                count = 0
            allowed = count < limit
            if allowed:
                count += 1
            self._counts[(client, rate_class)] = (window, count)
        reset = window + WINDOW_SECONDS
        return RateState(rate_class, limit, max(0, limit - count), reset, allowed, max(1, reset - seconds))
