"""How a block of text shows in each frame of its life: entry, exit, typing and movement. It draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from recaster.media.overlays.model import Animation, OverlayTrack, Point


@dataclass(frozen=True, slots=True)
class Appearance:
    """How much of a block shows in one frame."""

    alpha: float = 1.0
    scale: float = 1.0
    shown: float = 1.0
    """Share of the graphemes that are typed already."""
    offset: Point = (0.0, 0.0)
    spoken: float | None = None
    """Share of the block's life that has passed, where its words light up one after the other."""


def appearance(track: OverlayTrack, frame: int) -> Appearance | None:
    """How a block with the timing, movement and animations of `track` shows in `frame`; None outside its life.

    A fade runs in equal steps; a pop grows from 70 % and is opaque after half its length; typed text comes grapheme by
    grapheme.
    """
    if not track.first_frame <= frame <= track.last_frame:
        return None
    alpha, scale, shown = 1.0, 1.0, 1.0

    def part(animation: Animation, done: int) -> float:
        return 1.0 if animation.kind == "none" or animation.frames <= 0 else min(1.0, done / (animation.frames + 1))

    for animation, done in (
        (track.entry, frame - track.first_frame + 1),
        (track.exit, track.last_frame - frame + 1),
    ):
        p = part(animation, done)
        if animation.kind == "fade":
            alpha *= p
        elif animation.kind == "pop" and p < 1.0:
            alpha *= min(1.0, 2 * p)
            scale *= 0.7 + 0.3 * p
        elif animation.kind == "typed":
            shown = min(shown, p)
    spoken = None
    if track.style.active_fill is not None or track.style.active_slab is not None:
        spoken = (frame - track.first_frame) / (track.last_frame - track.first_frame + 1)
    return Appearance(alpha, scale, shown, track.offset_at(frame), spoken)
