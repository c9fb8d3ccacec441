"""Request budgets on the wire: what a client may still send this minute, and the headers that say so."""

from __future__ import annotations

from dataclasses import dataclass

from recaster.infra.clock import Clock
from recaster.infra.rates import WINDOW_SECONDS, MemoryCounter, RateCounter


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
        """Return the contract's four headers, and the pair of the IETF draft (`RateLimit`, `RateLimit-Policy`)."""
        return {
            "X-RateLimit-Endpoint-Class": self.rate_class,
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f'"{self.rate_class}";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.rate_class}";r={self.remaining};t={self.retry_after}',
        }


class Budgets:
    """Counts requests in fixed windows of one minute, wherever the counter keeps them."""

    def __init__(self, counter: RateCounter, clock: Clock) -> None:
        self._counter = counter
        self.in_process = isinstance(counter, MemoryCounter)
        """Whether counting neither waits for a file nor for a network."""
        self._clock = clock

    def hit(self, client: str, rate_class: str, limit: int) -> RateState:
        """Count one request of `client` if its budget allows, and say how it stands. A refused one does not count."""
        seconds, window = self._now()
        allowed, count = self._counter.hit(client, rate_class, limit, window)
        return _state(rate_class, limit, count, allowed, seconds, window)

    def look(self, client: str, rate_class: str, limit: int) -> RateState:
        """Say how a budget stands, for an answer that costs nothing."""
        seconds, window = self._now()
        count = self._counter.look(client, rate_class, window)
        return _state(rate_class, limit, count, True, seconds, window)

    def _now(self) -> tuple[int, int]:
        seconds = int(self._clock.now().timestamp())
        return seconds, seconds - seconds % WINDOW_SECONDS


def _state(rate_class: str, limit: int, count: int, allowed: bool, seconds: int, window: int) -> RateState:
    reset = window + WINDOW_SECONDS
    return RateState(rate_class, limit, max(0, limit - count), reset, allowed, max(1, reset - seconds))
