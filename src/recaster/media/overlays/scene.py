"""Overlay or scene: whether a line was set over the video or stands in the filmed world.

What makes an overlay: it holds still to the screen while the picture behind it changes, or it moves without the picture
around it; its edges are hard from the first frame to the last. Printed cloth and signs move with what they are
printed on, tilt, and are lost and found again. Nothing is decided by words.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from recaster.media.overlays.ends import Series
from recaster.media.overlays.finding import FoundLine, Sighting
from recaster.media.overlays.following import Life
from recaster.media.overlays.geometry import bounds, line_height, line_width, shifted, tilt
from recaster.media.overlays.networks import Quad, ReadText
from recaster.media.overlays.wording import Wording
from recaster.media.video.model import Mask, VideoFacts

_LEAST_HEIGHT = 0.008
"""Of the frame's height: smaller text is neither readable nor worth replacing."""
_MOST_HEIGHT = 0.2
_MOST_DRIFT = 1.0
_SCENE_MOVES_ALONG = 0.75
"""Difference of the surroundings when moved along with a line, against not moved: below this they move with it."""
_STEEPEST = 30.0
"""Degrees from level beyond which no set type is expected."""
_SURE_SHORT = {1: 0.97, 2: 0.95, 3: 0.92, 4: 0.88}
"""Confidence that texts of so few letters need: a badge or a crease is soon read as one or two."""
_STEEP = 22.0
"""Degrees from level beyond which set type is rare and needs better proof."""
_LEAST_READ = 0.9
"""Confidence up to which a reading with far too few letters is none."""
_UNREAD_SECONDS = 0.6
"""How long a line stands at least that cannot be read."""
_LEAST_ONCE = 0.6
"""Confidence at first sight of a line that moves or was found in a single frame."""
_LEAST_IN_COMPANY = 0.75
"""Confidence that a line needs which comes and goes with an overlay next to it."""
_LONGEST_CUT_ENTRY = 14
"""Frames of an entry that the clip's end may cut off before the line has stood still at all."""

_SHORTEST_REST = 15
"""Frames between a movement of the scene and a moment in which it stands still."""
_SURE_WORDS = Wording("as sure as words can be", 1.0, ())


def may_be_overlay(line: FoundLine, facts: VideoFacts) -> bool:
    """Tell whether a found line has the size and the tilt of set type, so that following it is worth the time."""
    height = line_height(line.quad)
    return _LEAST_HEIGHT * facts.height <= height <= _MOST_HEIGHT * facts.height and tilt(line.quad) <= _STEEPEST


def is_worth_following(line: FoundLine, read: ReadText, frame_count: int) -> bool:
    """Tell whether a line may turn out to be one; a thing of the scene is often seen once and then never again."""
    if line.moves and read.confidence < _LEAST_ONCE:
        return False
    once = len(line.places) == 1 and line.last - line.first <= 1
    return not once or read.confidence >= _LEAST_ONCE or line.first == 0 or line.last == frame_count - 1


def is_overlay(life: Life, wording: Wording, facts: VideoFacts) -> bool:
    """Tell whether a line belongs to the design and not to the scene."""
    if life.moves:
        return _is_moving_overlay(life, wording)
    if life.drift > _MOST_DRIFT:
        return False
    if life.line.grows and life.entry.kind == "pop":
        # Nothing in a scene comes towards one so fast and stays at its place.
        return wording.confidence >= 0.95 and tilt(life.quad) < _STEEP
    frames = life.last - life.first + 1
    clipped = life.first == 0 or life.last == facts.frame_count - 1
    if frames < 3:
        return clipped and wording.confidence >= 0.93 and tilt(life.quad) < _STEEP
    if life.entry.kind == "typed":
        return wording.confidence >= 0.85 and tilt(life.quad) < _STEEP
    if life.last == facts.frame_count - 1 and _comes_as_the_clip_ends(life, wording):
        return True
    steady, core = _steady_share(life), len(_core(life))
    letters = len("".join(wording.text.split()))
    well_read = wording.confidence >= 0.95 and core >= 15 and tilt(life.quad) < _STEEP
    if steady < (0.4 if well_read else 0.55) or steady * core < 3 or core < min(6, 0.45 * _followed(life, wording)):
        return False
    doubts = (
        (tilt(life.quad) > _STEEP)
        + (wording.confidence < 0.9)
        + (wording.confidence < 0.75)
        + 2 * (wording.confidence < _SURE_SHORT.get(letters, 0.0) and not _is_unread(life.quad, letters))
        # A sign or two that are there from the first to the last frame have nothing that shows them to be set.
        + 3 * (letters <= 2 and frames == facts.frame_count and line_width(life.quad) < 2 * line_height(life.quad))
        + (_core_strength(life) < 0.9)
        + (frames < 5)
        + (not clipped and life.entry.kind != "none" and life.exit.kind != "none")
    )
    if wording.confidence < 0.6 or (_is_unread(life.quad, letters) and wording.confidence < _LEAST_READ):
        # Words that cannot be read have only their look to speak for them.
        return doubts <= 2 and steady > 0.85 and frames >= _UNREAD_SECONDS * float(facts.average_rate)
    return doubts <= (2 if core >= 10 else 1)


def _is_unread(quad: Quad, letters: int) -> bool:
    """Whether a line is far too long for so few letters: it is in a script that the network does not know."""
    return line_width(quad) > (0.75 * letters + 0.8) * line_height(quad)


def has_a_chance(life: Life, facts: VideoFacts) -> bool:
    """Tell whether a line could be an overlay if only its words were sure; where not, reading it is not worth the time."""
    return is_overlay(life, _SURE_WORDS, facts)


def _comes_as_the_clip_ends(life: Life, wording: Wording) -> bool:
    """Whether a line has only begun to show when the clip ends: it has no time to stand still, so its words must be sure."""
    rising = bool((np.diff(life.strengths) > -0.03).all())
    several = len("".join(wording.text.split())) >= 6
    brief = len(life.strengths) <= _LONGEST_CUT_ENTRY
    return brief and rising and several and wording.confidence >= 0.95 and tilt(life.quad) < 0.5 * _STEEP


def may_keep_company(life: Life, other: Life, facts: VideoFacts) -> bool:
    """Tell whether a doubtful line comes and goes with an overlay right above or below it, and is set like it.

    Where both stand for the whole clip their times say nothing.
    """
    if life.moves or other.moves or life.drift > _MOST_DRIFT:
        return False
    if abs(life.last - other.last) > 1 or not (abs(life.first - other.first) <= 1 or _is_typed_next(life, other)):
        return False
    if life.first == 0 and life.last == facts.frame_count - 1:
        return False
    one, two = line_height(life.quad), line_height(other.quad)
    a, b = bounds(life.quad), bounds(other.quad)
    gap = max(a[1], b[1]) - min(a[3], b[3])
    beside = min(a[2], b[2]) - max(a[0], b[0])
    near = -0.6 * max(one, two) < gap < 0.7 * max(one, two) and beside > 0.5 * min(a[2] - a[0], b[2] - b[0])
    return near and max(one, two) < 2.2 * min(one, two) and abs(tilt(life.quad) - tilt(other.quad)) < 8


def _is_typed_next(life: Life, other: Life) -> bool:
    """Whether a line begins below a typed one, where that begins, when that is complete."""
    if other.entry.kind != "typed" or not abs(life.first - other.first - other.entry.frames) <= 4:
        return False
    a, b = bounds(life.quad), bounds(other.quad)
    return a[1] > b[1] and abs(a[0] - b[0]) < 0.5 * line_height(other.quad)


def stood_still_for_a_moment(life: Life, wording: Wording, moving: Life) -> bool:
    """Tell whether a still line is a part of print that moves with the scene right before or after."""
    words = "".join(wording.text.split()).casefold()
    if life.moves or moving.line.at_sight is None or len(words) < 3:
        return False
    if life.first - moving.last > _SHORTEST_REST or moving.first - life.last > _SHORTEST_REST:
        return False
    one, other = line_height(life.quad), line_height(moving.quad)
    apart = np.abs(life.quad.mean(axis=0) - moving.quad.mean(axis=0))
    near = float(apart[0]) < 0.6 * line_width(moving.quad) and float(apart[1]) < max(one, other)
    seen = "".join(moving.line.at_sight.text.split()).casefold()
    return near and max(one, other) < 2.2 * min(one, other) and words in seen and not _moves_alone(moving.line)


def has_words_for_company(wording: Wording) -> bool:
    """Tell whether a doubtful line that keeps company is read well enough to be a line of its own, and not an emoji."""
    letters = sum(character.isalnum() for character in wording.text)
    least = {1: 1.1, 2: 0.98}.get(letters, _LEAST_IN_COMPANY)
    return letters > 0 and wording.confidence >= least


def least_sharpness(sharpnesses: Sequence[float]) -> float:
    """How hard the edges of set type are at least in a clip, from those of all its lines (`letters.edge_sharpness`).

    A clip that was scaled up is soft all over, its overlays too.
    """
    return float(np.clip(0.62 * max(sharpnesses, default=0.0), 0.45, 0.58))


def _is_moving_overlay(life: Life, wording: Wording) -> bool:
    frames = life.last - life.first + 1
    core = _core(life)
    level = float(np.median(core))
    weakest = _core_strength(life)
    # What keeps its form for a second while it moves needs less proof from its words.
    constant = frames >= 30 and weakest > 0.95 * level
    least = 0.97 if tilt(life.quad) > 0.5 * _STEEP else 0.85 if constant else 0.9
    # How strong it is against its pattern says little where the pattern is of a faint moment; cloth also wavers.
    if frames < 4 or level < 0.6 or weakest < 0.85 * level or wording.confidence < least:
        return False
    if len(core) < min(12, 0.5 * _followed(life, wording)):
        return False  # what only ever comes and goes has not shown that it keeps its form
    return _moves_alone(life.line)


def _followed(life: Life, wording: Wording) -> int:
    """Frames of which a good part must show the line at its full strength.

    What grew at its place was found in every frame of that already, and the scene does not come towards one so fast.
    """
    grew = life.entry.kind == "pop" and wording.confidence >= 0.95
    return life.last - life.first + 1 - (life.entry.frames if grew else 0)


def _steady_share(life: Life) -> float:
    """Share of the life in which the line stands as strong as ever, its entry and exit left out.

    Set type stands unchanged; printed cloth is its own self only for a moment.
    """
    core = _core(life)
    level = max(float(np.median(core[core >= np.median(core)])), 1e-6)
    near = float((np.abs(core / level - 1.0) <= 0.1).mean())
    # A caption whose words take turns in colour stands on several levels, but does not slide from one to the other.
    calm = float((np.abs(np.diff(core)) <= 0.05 * level).mean()) if len(core) > 2 else 0.0
    return max(near, calm if float(core.min()) > 0.7 * level else 0.0)


def _core_strength(life: Life) -> float:
    return float(np.quantile(_core(life), 0.2))


def _core(life: Life) -> Series:
    """Strengths without those of a typed or growing entry and of short fades."""
    entry = min(life.entry.frames, 12) if life.entry.kind == "fade" else life.entry.frames
    core = life.strengths[entry : len(life.strengths) - min(life.exit.frames, 12)]
    return core if len(core) else life.strengths


def _moves_alone(line: FoundLine) -> bool:
    """Whether the surroundings of a moving line stay behind when it moves."""
    verdicts = []
    for earlier, later in zip(line.kept, line.kept[1:], strict=False):
        dx, dy = later.offset[0] - earlier.offset[0], later.offset[1] - earlier.offset[1]
        if abs(dx) + abs(dy) < 3:
            continue
        along, behind = _ring_change(earlier, later, (dx, dy)), _ring_change(earlier, later, (0, 0))
        if along is not None and behind is not None:
            verdicts.append(along / max(behind, 1.0))
    # The scene may happen to move like the text for a while; printed text always does.
    return bool(verdicts) and float(np.quantile(verdicts, 0.7)) > _SCENE_MOVES_ALONG


def _ring_change(earlier: Sighting, later: Sighting, shift: tuple[int, int]) -> float | None:
    """Mean difference (0–255) of the surroundings of two sightings, the later one moved back by `shift`."""
    x0 = max(earlier.origin[0], later.origin[0] - shift[0])
    y0 = max(earlier.origin[1], later.origin[1] - shift[1])
    x1 = min(earlier.origin[0] + earlier.crop.shape[1], later.origin[0] - shift[0] + later.crop.shape[1])
    y1 = min(earlier.origin[1] + earlier.crop.shape[0], later.origin[1] - shift[1] + later.crop.shape[0])
    if x1 - x0 < 8 or y1 - y0 < 8:
        return None
    one = earlier.luma[y0 - earlier.origin[1] : y1 - earlier.origin[1], x0 - earlier.origin[0] : x1 - earlier.origin[0]]
    left, top = x0 + shift[0] - later.origin[0], y0 + shift[1] - later.origin[1]
    other = later.luma[top : top + y1 - y0, left : left + x1 - x0]
    ring = np.full(one.shape, 255, np.uint8)
    _clear(ring, earlier, (x0, y0))
    _clear(ring, later, (x0 + shift[0], y0 + shift[1]))
    if int((ring > 0).sum()) < 0.1 * ring.size:
        return None
    return float(cv2.mean(cv2.absdiff(one, other), ring)[0])


def _clear(ring: Mask, sighting: Sighting, corner: tuple[int, int]) -> None:
    corners = np.rint(shifted(sighting.quad, -corner[0], -corner[1])).astype(np.int32)
    cv2.fillPoly(ring, [corners], 0)
