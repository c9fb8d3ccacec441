"""What is looked at in a rendered file, and the measures that follow: its texts, and whose face it shows.

It reads single frames that it is given and decides nothing; see `recaster.remix.steps.verify`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from recaster.media.faces import FaceTrack, Persona, similarity
from recaster.media.overlays import Box, OverlayTrack, Point, TextLayout, appearance
from recaster.media.quality import Measure, at_least, at_most, text_similarity
from recaster.media.video import Image
from recaster.remix.analysis import SourceAnalysis
from recaster.remix.crossing import crossing_frames
from recaster.remix.engines import Engines
from recaster.remix.plan import PlannedOverlay, RemixPlan

READABLE = 0.6
"""Similarity from which a text counts as readable at its place; below it, it is gone."""
IDENTITY_SAMPLES = 8
"""Frames in which the face is compared."""
_MARGIN = 0.2
"""Room around a text that is read too, against its height."""


def inspected_texts(analysis: SourceAnalysis, plan: RemixPlan) -> dict[int, list[PlannedOverlay]]:
    """One frame for each overlay in which it stands complete, where it stays before a swapped face if it does so."""
    tracks = {track.id: track for track in analysis.overlays}
    faces = [analysis.faces.track(face.track_id) for face in plan.faces if face.action == "swap"]
    frames: dict[int, list[PlannedOverlay]] = {}
    for overlay in plan.overlays:
        track = tracks[overlay.track_id]
        crossed = [frame for face in faces for frame in crossing_frames(track, face, 0.0)]
        seen = crossed if overlay.action == "keep" and crossed else range(track.first_frame, track.last_frame + 1)
        frames.setdefault(_fullest(track, seen), []).append(overlay)
    return frames


def inspected_faces(analysis: SourceAnalysis, plan: RemixPlan) -> dict[int, tuple[FaceTrack, int]]:
    """Frames spread over the swapped track, each with the track and the frame's position in it."""
    swapped = [analysis.faces.track(face.track_id) for face in plan.faces if face.action == "swap"]
    return {
        int(track.frames[position]): (track, position)
        for track in swapped
        for position in _spread(len(track.frames), IDENTITY_SAMPLES)
    }


def _fullest(track: OverlayTrack, frames: Sequence[int]) -> int:
    """The frame in which most of a block that fades, pops or is typed can be seen; of several the one in the middle."""

    def shows(frame: int) -> float:
        look = appearance(track, frame)
        return 0.0 if look is None else look.alpha * look.scale * look.shown

    most = max(shows(frame) for frame in frames)
    complete = [frame for frame in frames if shows(frame) == most]
    return complete[len(complete) // 2]


class TextInspection:
    """Reads source and result at the place of each overlay: the new text is there, the old one gone, the kept one whole."""

    def __init__(self, analysis: SourceAnalysis, layouts: Mapping[str, TextLayout], engines: Engines) -> None:
        self._reader = engines.reader()
        self._tracks = {track.id: track for track in analysis.overlays}
        self._layouts = layouts
        self._new: list[float] = []
        self._old: list[float] = []
        self._lost: list[float] = []

    def look(self, index: int, image: Image, source: Image, overlays: Iterable[PlannedOverlay]) -> None:
        """Read frame `index` of the result, and of the source where it must not have changed, where these overlays are."""
        for overlay in overlays:
            track = self._tracks[overlay.track_id]
            shift = track.offset_at(index)
            if overlay.action == "keep":
                place = _shifted(track.box, shift)
                lost = self._likeness(source, place, overlay) - self._likeness(image, place, overlay)
                self._lost.append(max(0.0, lost))
                continue
            read = self._read(image, _shifted(_union(track.box, self._layouts[overlay.track_id].box), shift))
            self._new.append(text_similarity(read, overlay.text))
            alike = text_similarity(overlay.text, overlay.source_text)
            # What old and new have in common may of course still be read.
            self._old.append(max(0.0, text_similarity(read, overlay.source_text) - alike))

    def _likeness(self, image: Image, place: Box, overlay: PlannedOverlay) -> float:
        return text_similarity(self._read(image, place), overlay.source_text)

    def _read(self, image: Image, place: Box) -> str:
        return " ".join(line.text for line in self._reader.read_image(_crop(image, place)))

    def measures(self) -> tuple[Measure, ...]:
        """Judge the worst text of the clip."""
        judged: list[Measure] = []
        if self._new:
            judged += [
                at_least(
                    "new_text_readable",
                    round(min(self._new), 3),
                    READABLE,
                    "Least similarity of a new text to what is read.",
                ),
                at_most(
                    "old_text_left",
                    round(max(self._old), 3),
                    1 - READABLE,
                    "Largest similarity of an old text to what is read at its place, beyond what old and new text share.",
                ),
            ]
        if self._lost:
            judged.append(
                at_most(
                    "kept_text_lost",
                    round(max(self._lost), 3),
                    1 - READABLE,
                    "Largest loss of a text that stays: how much less than in the source is still read of it.",
                )
            )
        return tuple(judged)


class IdentityInspection:
    """Compares the face in the result with the persona and with the person in the source (SFace cosine)."""

    def __init__(self, persona: Persona, engines: Engines) -> None:
        self._identifier = engines.identifier()
        self._persona = persona
        self._to_persona: list[float] = []
        self._to_source: list[float] = []

    def look(self, image: Image, track: FaceTrack, position: int) -> None:
        """Take the face of one frame of the result, without the text before it."""
        face = self._identifier.embed(image, track.landmarks[position])
        self._to_persona.append(similarity(face, self._persona.embedding))
        self._to_source.append(similarity(face, track.embedding))

    def measures(self) -> tuple[Measure, ...]:
        """Judge the mean over the frames."""
        to_persona, to_source = float(np.mean(self._to_persona)), float(np.mean(self._to_source))
        return (
            at_least(
                "identity_gain",
                round(to_persona - to_source, 3),
                0.0,
                f"Likeness to the persona {to_persona:.2f} minus likeness to the person in the source {to_source:.2f}.",
            ),
        )


def _spread(count: int, wanted: int) -> list[int]:
    return sorted({round(value) for value in np.linspace(0, count - 1, min(wanted, count))})


def _union(one: Box, other: Box) -> Box:
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))


def _shifted(box: Box, shift: Point) -> Box:
    return (box[0] + shift[0], box[1] + shift[1], box[2] + shift[0], box[3] + shift[1])


def _crop(image: Image, box: Box) -> Image:
    margin = _MARGIN * (box[3] - box[1])
    height, width = image.shape[:2]
    left, top = max(0, int(box[0] - margin)), max(0, int(box[1] - margin))
    right, bottom = min(width, int(box[2] + margin)), min(height, int(box[3] + margin))
    return image[top:bottom, left:right]
