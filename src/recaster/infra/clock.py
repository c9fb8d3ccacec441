"""The only places where the time is read, so that tests can decide what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Wall time carries whole milliseconds, which is also what the database and the wire hold."""

    def now(self) -> datetime:
        """Return the wall time in UTC, cut to milliseconds."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring spans."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the wall time in UTC, cut to milliseconds."""
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved: the twin of `SystemClock` for tests and reproduced runs."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the time that was set."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds by which the clock was moved."""
        return self._monotonic

    def advance(self, by: timedelta) -> None:
        """Move on by `by`."""
        self._now += by
        self._monotonic += by.total_seconds()


def iso(moment: datetime) -> str:
    """Write a UTC time as the wire shows it: ISO 8601 with milliseconds and `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def to_milliseconds(moment: datetime) -> int:
    """Count milliseconds since 1970-01-01 UTC, exactly."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_milliseconds(value: int) -> datetime:
    """Turn milliseconds since 1970-01-01 UTC into a time."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
