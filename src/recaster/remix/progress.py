"""Joins the progress of several pieces of work into one number that never falls. It measures nothing itself."""

from __future__ import annotations

from recaster.media.progress import Progress


class Portions:
    """Spreads one progress callback over pieces of work that follow each other.

    Each piece has a weight in units of the whole (frames times passes); `next` opens the next piece.
    """

    def __init__(self, progress: Progress, weights: tuple[int, ...]) -> None:
        self._progress = progress
        self._weights = weights
        self._piece = -1

    def next(self) -> Progress:
        """Return the callback of the next piece of work; the pieces before it count as done."""
        self._piece += 1
        before, weight, total = sum(self._weights[: self._piece]), self._weights[self._piece], sum(self._weights)

        def report(done: int, of: int, /) -> None:
            share = weight * done // of if of > 0 else weight
            self._progress(before + min(share, weight), total)

        report(0, 1)
        return report
