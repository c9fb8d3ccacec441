"""How long work reports its progress and hears that it shall stop. It draws nothing: callers decide what to show."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with `(done, total)` units of work (frames, where frames are worked on); `done` never falls.

    The callback may raise `recaster.errors.Cancelled`; long work lets it through and leaves no partial file behind.
    """

    def __call__(self, done: int, total: int, /) -> None:
        """Take note that `done` of `total` units are finished."""


def silent(done: int, total: int, /) -> None:
    """Ignore progress: the default of every long-running function."""
