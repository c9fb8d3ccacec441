"""Burned-in text as plain values: clip → overlay track → line, with its place, time, look and role.

Geometry is in pixels of the frame as shown, origin top left, x to the right, y down. Colours are (red, green, blue),
0–255. Times are frame indices, both ends included. All values convert to and from JSON with `to_json`/`from_json` of
`recaster.media.overlays.json`. Nothing here reads or draws pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Color = tuple[int, int, int]
"""Red, green, blue, each 0–255."""
Point = tuple[float, float]
"""x, y in pixels."""
Polygon = tuple[Point, Point, Point, Point]
"""Corners of a text line: top left, top right, bottom right, bottom left in reading direction."""
Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""


class OverlayRole(StrEnum):
    """What an overlay does for the viewer."""

    HOOK = "hook"  # the opening line that makes one stay
    SETUP = "setup"  # the first half of a joke or a story
    LIST_ITEM = "list_item"  # one numbered or bulleted entry
    PUNCHLINE = "punchline"  # the pay-off
    SUSPENSE = "suspense"  # "wait for it"
    CAPTION = "caption"  # what is being said, transcribed
    CALL_TO_ACTION = "call_to_action"  # asks the viewer to do something
    HANDLE = "handle"  # the creator's @name
    WATERMARK = "watermark"  # a platform's or creator's mark
    TEXT = "text"  # anything else


@dataclass(frozen=True, slots=True)
class Stroke:
    """An outline around the glyphs. `width` is the visible part in pixels, outside the fill."""

    color: Color
    width: float


@dataclass(frozen=True, slots=True)
class Shadow:
    """A drop shadow: offset and blur in pixels, opacity 0–1."""

    color: Color
    opacity: float
    dx: float
    dy: float
    blur: float


@dataclass(frozen=True, slots=True)
class Slab:
    """A filled rounded box behind the text. `padding_x` and `padding_y` reach from the text line's box to the slab's edge.

    `per_line` is true where each line has its own slab as wide as the line, as phone editors draw it.
    """

    color: Color
    opacity: float
    radius: float
    padding_x: float
    padding_y: float
    per_line: bool


@dataclass(frozen=True, slots=True)
class TextStyle:
    """How a block of text looks."""

    font: str
    """Font class: a key of `recaster.media.overlays.fonts.FONTS`, for example `tiktok-sans`."""
    weight: int
    """100–900."""
    size: float
    """Em size in pixels."""
    fill: Color
    opacity: float
    stroke: Stroke | None
    shadow: Shadow | None
    slab: Slab | None
    align: Literal["left", "center", "right"]
    line_spacing: float
    """Baseline distance as a multiple of `size`."""
    rotation: float
    """Degrees clockwise."""
    active_fill: Color | None = None
    """Fill of the word that is being said, where a caption's words take turns; None where they do not."""
    active_slab: Color | None = None
    """Colour of the box behind the word that is being said; None where it has none."""
    letter_spacing: float = 0.0
    """Extra advance behind each letter as a multiple of `size`."""


@dataclass(frozen=True, slots=True)
class Animation:
    """How a block comes or goes. `frames` is its length, 0 for `none`."""

    kind: Literal["none", "fade", "pop", "typed"]
    frames: int


@dataclass(frozen=True, slots=True)
class OverlayEmoji:
    """One emoji of a line."""

    character: str
    """As in the line's text; empty where it is an emoji that was not recognised, which the text then leaves out."""
    polygon: Polygon
    """Around its picture in the track's reference frame."""
    confidence: float
    """0–1."""


@dataclass(frozen=True, slots=True)
class OverlayLine:
    """One line of text as it stands on the screen."""

    text: str
    """As read, emoji included where they were recognised. Empty where the text could not be read."""
    polygon: Polygon
    """Around the glyphs in the track's reference frame, emoji not included."""
    confidence: float
    """0–1."""
    emoji: tuple[OverlayEmoji, ...] = ()
    """The line's emoji from left to right."""

    @property
    def is_read(self) -> bool:
        """Whether the words are known. A line that is not read was found all the same and can be erased."""
        return bool(self.text)


@dataclass(frozen=True, slots=True)
class OverlayTrack:
    """One block of burned-in text over its whole life on the screen."""

    id: str
    """`ov1`, `ov2`, … in order of first frame, then from top to bottom."""
    lines: tuple[OverlayLine, ...]
    first_frame: int
    last_frame: int
    reference_frame: int
    """A frame in which the block stands complete; polygons and box belong to it."""
    box: Box
    """Around all lines with stroke, shadow and slab."""
    offsets: tuple[Point, ...]
    """Shift against the reference frame for each frame from `first_frame` on; empty for a block that holds still."""
    style: TextStyle
    entry: Animation
    exit: Animation
    role: OverlayRole
    confidence: float

    @property
    def text(self) -> str:
        """All lines joined by line breaks."""
        return "\n".join(line.text for line in self.lines)

    def offset_at(self, frame: int) -> Point:
        """Shift of the block in `frame` against its reference frame, in pixels."""
        if not self.offsets:
            return (0.0, 0.0)
        return self.offsets[min(max(frame - self.first_frame, 0), len(self.offsets) - 1)]

    def polygon_at(self, line: OverlayLine, frame: int) -> Polygon:
        """Where the glyphs of one of the block's lines are in `frame`, its place at rest for a block that just pops in."""
        dx, dy = self.offset_at(frame)
        first, second, third, fourth = line.polygon
        return (
            (first[0] + dx, first[1] + dy),
            (second[0] + dx, second[1] + dy),
            (third[0] + dx, third[1] + dy),
            (fourth[0] + dx, fourth[1] + dy),
        )
