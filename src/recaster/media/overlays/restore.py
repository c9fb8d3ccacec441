"""Whole clips: erase the text of a clip, or set other words in its place and look. One streaming pass after learning.

It decides nothing about words or roles; the caller says which blocks go and what stands there instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recaster.errors import InvalidInput
from recaster.media.overlays.draw import TextDrawer
from recaster.media.overlays.erase import TextEraser
from recaster.media.overlays.layout import TextLayout
from recaster.media.overlays.model import OverlayTrack, TextStyle
from recaster.media.overlays.timing import appearance
from recaster.media.progress import Progress, silent
from recaster.media.video import VideoWriter, read_frames
from recaster.media.video.model import EncoderSettings, Shot, VideoFacts


def erase_clip(
    clip: Path,
    target: Path,
    facts: VideoFacts,
    shots: tuple[Shot, ...],
    tracks: tuple[OverlayTrack, ...],
    eraser: TextEraser,
    progress: Progress = silent,
    *,
    encoder: EncoderSettings = EncoderSettings(),
) -> None:
    """Write the clip without `tracks` to `target`, with its own sound and frame times.

    `progress` counts the frames of two passes. Raises what `TextEraser.prepare` and `VideoWriter` raise.
    """
    reset_clip(clip, target, facts, shots, tracks, {}, eraser, None, progress, encoder=encoder)


def reset_clip(
    clip: Path,
    target: Path,
    facts: VideoFacts,
    shots: tuple[Shot, ...],
    tracks: tuple[OverlayTrack, ...],
    texts: Mapping[str, str],
    eraser: TextEraser,
    drawer: TextDrawer | None,
    progress: Progress = silent,
    *,
    encoder: EncoderSettings = EncoderSettings(),
) -> dict[str, TextLayout]:
    """Erase `tracks` and write, for those whose id is in `texts`, the new words in the old look, place and timing.

    Returns the layouts of the new blocks by track id. Raises `DoesNotFit` before anything is written where a text has no
    room, `InvalidInput` for an id that is not among `tracks` or a character that no font has.
    """
    known = {track.id: track for track in tracks}
    unknown = sorted(set(texts) - set(known))
    if unknown or (texts and drawer is None):
        raise InvalidInput(
            f"There are texts for {', '.join(unknown)}, but the overlays are {', '.join(known) or 'none'}. "
            "Name overlays of this clip.",
            field="texts",
            value=unknown,
            limit=list(known),
        )
    layouts: dict[str, TextLayout] = {}
    if drawer is not None:
        layouts = lay_out_in_place(
            facts, drawer, {key: NewText(known[key], text, known[key].style) for key, text in texts.items()}
        )
    total = 2 * facts.frame_count
    eraser.prepare(clip, facts, shots, tracks, lambda done, _: progress(done, total))
    with VideoWriter(target, facts, source=clip, encoder=encoder) as writer:
        for frame in read_frames(clip):
            image = eraser.erase(frame)
            for key, layout in layouts.items():
                look = appearance(known[key], frame.index)
                if look is not None and drawer is not None:
                    image = drawer.draw(image, layout, look)
            writer.write(image, frame.pts, frame.duration)
            progress(facts.frame_count + frame.index + 1, total)
    return layouts


@dataclass(frozen=True, slots=True)
class NewText:
    """Words for the place of an old block, in a look that is usually the old one."""

    track: OverlayTrack
    text: str
    style: TextStyle


def lay_out_in_place(facts: VideoFacts, drawer: TextDrawer, new: Mapping[str, NewText]) -> dict[str, TextLayout]:
    """Lay out new texts on the lines of the old ones, with no more lines than these had, by the keys of `new`.

    Raises `DoesNotFit` where a text has no room.
    """
    return {
        key: drawer.layout(
            one.text,
            one.style,
            one.track.box,
            (facts.width, facts.height),
            max_lines=len(one.track.lines),
            old_lines=one.track.lines,
        )
        for key, one in new.items()
    }
