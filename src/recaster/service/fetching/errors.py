"""What a fetcher raises beside `InvalidTiktokId`: the platform could not say now."""

from __future__ import annotations

from typing import Final, Literal

from recaster.errors import SourceUnavailable
from recaster.service.errors import TiktokIdReason

SignalName = Literal["transient", "blocked", "broken", "login", "unsure", "refused", "paused"]
"""Why to try again later:

- `transient`: 429, 5xx, time out, TLS, proxy
- `blocked`: the page was refused or is a challenge that was not solved
- `broken`: the page was not understood, or the extractor died: usually it is out of date
- `login`: sent to the login page, which is policy or throttling
- `unsure`: a status of the platform that may pass
- `refused`: our own egress proxy let it through to nowhere
- `paused`: the circuit breaker is open, nothing was tried
"""

COUNTED_SIGNALS: Final[frozenset[SignalName]] = frozenset({"blocked", "broken", "refused"})
"""Signals that speak of the platform or the extractor as a whole, not of one video: the breaker counts them."""


class TryLater(SourceUnavailable):
    """The source cannot be judged or fetched now; a later try may succeed. It never means that the id is wrong."""

    def __init__(
        self,
        message: str,
        *,
        signal: SignalName,
        most_tries: int | None = None,
        then: TiktokIdReason | None = None,
        platform_code: int | None = None,
    ) -> None:
        """`most_tries`, `then`: after how many tries the id counts as not fetchable, and with which reason; None means
        that only the retry ladder ends it.
        """
        super().__init__(message, signal=signal)
        if platform_code is not None:
            self.details["platformCode"] = platform_code
        self.signal: SignalName = signal
        self.most_tries = most_tries
        self.then: TiktokIdReason | None = then
