"""The look of set words, measured in pictures of which it is known how they were drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from recaster.media.overlays import Shadow, SkiaTextDrawer, Slab, Stroke, TextLayout, TextStyle
from recaster.media.overlays.backing import find_glass, find_slab
from recaster.media.overlays.inking import (
    Lettering,
    as_stroke,
    find_active_fill,
    find_fill,
    find_glow,
    find_rim,
    find_shadow,
    rgb,
)
from recaster.media.overlays.opacity import find_translucence
from recaster.media.overlays.seen_letters import fine_letters, seen_coverage, seen_in_turns
from recaster.media.overlays.setting import Face, Fit, typesetter
from recaster.media.overlays.timing import Appearance
from recaster.media.overlays.tints import BackedLine, find_tint
from recaster.media.overlays.typesetting import compared
from recaster.media.video import Image

pytestmark = pytest.mark.unit

SIZE = (420, 150)
PLAIN = TextStyle("tiktok-sans", 700, 36.0, (255, 255, 255), 1.0, None, None, None, "center", 1.28, 0.0)
WORDS = "what nobody says"


@dataclass(frozen=True)
class Drawn:
    """Words over a moving scene, and where they are."""

    pictures: tuple[Image, ...]
    layout: TextLayout
    box: tuple[float, float, float, float]

    @classmethod
    def of(cls, style: TextStyle, text: str = WORDS, looks: tuple[Appearance, ...] = (Appearance(),) * 3) -> Drawn:
        drawer = SkiaTextDrawer()
        rng = np.random.default_rng(5)
        noise = cv2.GaussianBlur(rng.uniform(0, 255, (SIZE[1] + 60, SIZE[0] + 60, 3)), (0, 0), 7)
        scene = np.clip((noise - noise.mean()) * 5 + 110, 0, 255).astype(np.uint8)
        laid = drawer.layout(text, style, (10.0, 40.0, SIZE[0] - 10.0, 110.0), SIZE, max_lines=1).moved(0.3, 0.6)
        pictures = []
        for index, look in enumerate(looks):
            part = scene[11 * index : 11 * index + SIZE[1], 9 * index : 9 * index + SIZE[0]]
            pictures.append(drawer.draw(np.ascontiguousarray(part), laid, look))
        line = laid.lines[0]
        return cls(
            tuple(pictures),
            laid,
            (line.x + 3.0, line.baseline - laid.line_top - 2.0, line.x + line.width - 2.0, line.baseline + 3.0),
        )

    def fitted(self, fill: tuple[int, int, int] = (255, 255, 255)) -> Fit:
        seen = seen_coverage(self.pictures, np.array(fill[::-1], np.float32), 36.0)
        return compared(self.layout.text, seen, self.box, 36.0, self.box)[0]

    def lettering(self, fill: tuple[int, int, int] = (255, 255, 255)) -> Lettering:
        setting = self.fitted(fill).setting
        fine = typesetter().fine(self.layout.text, setting, (SIZE[1], SIZE[0]))
        return Lettering.of(self.pictures, fine, setting.size, takes_turns=False)


WHITE = np.full(3, 255, np.float32)


@pytest.mark.parametrize(
    ("font", "weight"),
    [("tiktok-sans", 400), ("tiktok-sans", 900), ("montserrat", 800), ("book-serif", 700), ("anton", 400)],
)
def test_face_size_and_place_are_found_exactly(font: str, weight: int) -> None:
    drawn = Drawn.of(replace(PLAIN, font=font, weight=weight, size=33.5))
    fit = drawn.fitted()
    assert (fit.setting.face.font, fit.setting.face.weight) == (font, weight)
    assert fit.agreement > 0.9
    assert fit.setting.size == pytest.approx(33.5, rel=0.015)
    line = drawn.layout.lines[0]
    assert fit.setting.x == pytest.approx(line.x + line.width / 2, abs=0.4)
    assert fit.setting.baseline == pytest.approx(line.baseline, abs=0.4)


def test_spaced_letters_are_told_from_larger_ones() -> None:
    fit = Drawn.of(replace(PLAIN, letter_spacing=0.02)).fitted()
    assert fit.setting.size == pytest.approx(36, rel=0.025)  # by its width alone it would be 4 % larger
    assert fit.setting.spacing > 0.004


def test_letters_far_apart_come_back_as_large_and_as_far_apart_as_they_are() -> None:
    fit = Drawn.of(replace(PLAIN, letter_spacing=0.12, size=30.0)).fitted()
    assert (fit.setting.face.font, fit.setting.face.weight) == ("tiktok-sans", 700)
    assert fit.setting.size == pytest.approx(30.0, rel=0.02)
    assert fit.setting.spacing == pytest.approx(0.12, abs=0.012)


def test_words_that_are_not_there_do_not_agree() -> None:
    other = Drawn.of(PLAIN, "zu kurz gedacht")
    seen = seen_coverage(other.pictures, WHITE, 36.0)
    assert compared(WORDS, seen, other.box, 36.0, other.box)[0].agreement < 0.5


def test_words_taking_turns_on_a_box_are_seen_where_they_are_not_on_it() -> None:
    style = replace(PLAIN, stroke=Stroke((0, 0, 0), 3.0), active_fill=(0, 0, 0), active_slab=(20, 200, 60))
    drawn = Drawn.of(style, looks=tuple(Appearance(spoken=share) for share in (0.1, 0.5, 0.9)))
    seen = seen_in_turns(drawn.pictures, WHITE, 36.0, np.array((60, 200, 20), np.float32))
    fit = compared(WORDS, seen, drawn.box, 36.0, drawn.box)[0]
    assert fit.agreement > 0.9
    assert fit.setting.size == pytest.approx(36, rel=0.02)
    lettering = Lettering.of(
        drawn.pictures, typesetter().fine(WORDS, fit.setting, (SIZE[1], SIZE[0])), 36.0, takes_turns=True
    )
    assert find_active_fill(lettering, WHITE, np.array((60, 200, 20), np.float32)) == (0, 0, 0)
    assert min(rgb(find_fill(lettering, WHITE))) > 245


@pytest.mark.parametrize("width", [2.0, 4.5])
def test_an_outline_and_its_width_are_measured(width: float) -> None:
    rim = find_rim(Drawn.of(replace(PLAIN, stroke=Stroke((190, 20, 40), width))).lettering(), WHITE)
    stroke = as_stroke(rim)
    assert stroke is not None
    assert stroke.width == pytest.approx(width, abs=0.5)
    assert np.abs(np.subtract(stroke.color, (190, 20, 40))).max() < 12


def test_letters_without_outline_shadow_or_transparency_have_none() -> None:
    lettering = Drawn.of(PLAIN).lettering()
    assert as_stroke(find_rim(lettering, WHITE)) is None
    assert find_shadow(lettering, 1.0) is None
    assert find_translucence(lettering, WHITE, 0.0) is None


@pytest.mark.parametrize("color", [(255, 40, 160), (60, 230, 255)])
def test_a_halo_of_light_has_its_own_colour_and_width(color: tuple[int, int, int]) -> None:
    drawn = Drawn.of(replace(PLAIN, shadow=Shadow(color, 0.9, 0.0, 0.0, 13.0)), looks=(Appearance(),) * 5)
    glow = find_glow(drawn.lettering(), 1.0)
    assert glow is not None
    assert (glow.dx, glow.dy) == (0.0, 0.0)
    assert glow.blur == pytest.approx(13.0, abs=4.0)
    wanted = (np.array(color) > 128).tolist()
    assert [value > 128 for value in glow.color] == wanted


def test_neither_a_shadow_nor_bare_letters_glow() -> None:
    assert find_glow(Drawn.of(PLAIN).lettering(), 1.0) is None
    assert find_glow(Drawn.of(replace(PLAIN, shadow=Shadow((0, 0, 0), 0.7, 3.0, 3.0, 0.0))).lettering(), 1.0) is None
    assert find_glow(Drawn.of(replace(PLAIN, shadow=Shadow((0, 0, 0), 0.8, 0.0, 0.0, 9.0))).lettering(), 1.0) is None


def test_a_shadow_is_found_on_its_side() -> None:
    shadow = find_shadow(Drawn.of(replace(PLAIN, shadow=Shadow((0, 0, 0), 0.7, 3.0, 3.0, 0.0))).lettering(), 1.0)
    assert shadow is not None
    assert (shadow.dx, shadow.dy) == pytest.approx((3.0, 3.0), abs=1.0)
    assert shadow.opacity > 0.4


@pytest.mark.parametrize("opacity", [0.6, 0.8])
@pytest.mark.parametrize("fill", [(255, 255, 255), (250, 210, 40)])
def test_what_shines_through_tells_the_opacity(opacity: float, fill: tuple[int, int, int]) -> None:
    drawn = Drawn.of(replace(PLAIN, fill=fill, opacity=opacity), looks=(Appearance(),) * 5)
    lettering = drawn.lettering(fill)
    found = find_translucence(lettering, find_fill(lettering, np.array(fill[::-1], np.float32)), 0.0)
    assert found is not None
    assert found.opacity == pytest.approx(opacity, abs=0.08)
    assert np.abs(np.subtract(rgb(found.fill), fill)).max() < 22


def test_a_scene_that_only_flickers_tells_the_opacity_with_the_outline() -> None:
    # One even colour in each picture: nothing varies along the line, all of it in time.
    style = replace(PLAIN, opacity=0.7, stroke=Stroke((0, 0, 0), 3.0))
    laid = SkiaTextDrawer().layout(WORDS, style, (10.0, 40.0, SIZE[0] - 10.0, 110.0), SIZE, max_lines=1)
    scenes = [np.full((SIZE[1], SIZE[0], 3), level, np.uint8) for level in (60, 95, 130)]
    pictures = tuple(SkiaTextDrawer().draw(scene, laid) for scene in scenes)
    line = laid.lines[0]
    box = (line.x + 3.0, line.baseline - laid.line_top, line.x + line.width - 2.0, line.baseline + 3.0)
    fit = compared(WORDS, seen_coverage(pictures, WHITE, 36.0), box, 36.0, box)[0]
    fine = typesetter().fine(WORDS, fit.setting, (SIZE[1], SIZE[0]))
    lettering = Lettering.of(pictures, fine, fit.setting.size, takes_turns=False)
    found = find_translucence(lettering, find_fill(lettering, WHITE), 3.0)
    assert found is not None
    assert found.opacity == pytest.approx(0.7, abs=0.04)
    seen = np.full(3, 0.3 * 95.0, np.float32)
    assert np.abs(found.own(seen)).max() < 8  # the outline is black, too


@pytest.mark.parametrize("tilt", [1.4, -2.5])
def test_letters_that_are_not_quite_level_are_set_at_their_angle(tilt: float) -> None:
    fit = Drawn.of(replace(PLAIN, rotation=tilt)).fitted()
    assert np.degrees(fit.setting.tilt) == pytest.approx(tilt, abs=0.25)
    assert fit.setting.size == pytest.approx(36, rel=0.02)
    assert fit.agreement > 0.9


def test_level_letters_are_not_turned() -> None:
    assert Drawn.of(PLAIN).fitted().setting.tilt == 0.0


def test_letters_of_a_face_that_does_not_ship_are_taken_as_they_are_seen() -> None:
    drawn = Drawn.of(replace(PLAIN, font="caveat", size=44.0, stroke=Stroke((200, 30, 60), 3.0)))
    seen = seen_coverage(drawn.pictures, WHITE, 36.0)
    other = replace(drawn.fitted().setting, face=Face("montserrat", 800), size=30.0)
    shape = (SIZE[1], SIZE[0])
    cells = typesetter().fine(WORDS, other, shape)
    as_drawn = Lettering.of(drawn.pictures, cells, 36.0, takes_turns=False)
    as_seen = Lettering.of(drawn.pictures, fine_letters(seen, cells, 36.0), 36.0, takes_turns=False)
    assert as_stroke(find_rim(as_drawn, WHITE)) is None
    stroke = as_stroke(find_rim(as_seen, find_fill(as_seen, WHITE)))
    assert stroke is not None
    assert stroke.width == pytest.approx(3.0, abs=1.2)
    assert np.abs(np.subtract(stroke.color, (200, 30, 60))).max() < 40


@pytest.mark.parametrize("radius", [3.0, 14.0])
def test_a_slab_is_measured_from_the_fonts_letters(radius: float) -> None:
    drawn = Drawn.of(replace(PLAIN, slab=Slab((210, 30, 70), 1.0, radius, 13.5, 9.0, True)))
    line = drawn.layout.lines[0]
    backed = BackedLine(
        drawn.pictures,
        line.x,
        line.x + line.width,
        line.baseline - drawn.layout.line_top,
        line.baseline + drawn.layout.line_bottom,
        36.0,
    )
    backing = find_slab([backed], np.array((70, 30, 210), np.float32))
    assert backing is not None
    assert backing.slab.padding_x == pytest.approx(13.5, abs=0.4)
    assert (backing.above, backing.below) == pytest.approx((9.0, 9.0), abs=0.4)
    assert backing.slab.radius == pytest.approx(radius, abs=2.0)


def test_a_wall_behind_the_words_is_no_slab() -> None:
    wall = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    line = BackedLine((wall,), 60.0, 360.0, 60.0, 95.0, 36.0)
    assert find_slab([line], np.full(3, 40, np.float32)) is None


def backed(drawn: Drawn, style: TextStyle) -> BackedLine:
    line = drawn.layout.lines[0]
    top, bottom = line.baseline - drawn.layout.line_top, line.baseline + drawn.layout.line_bottom
    return BackedLine(drawn.pictures, line.x, line.x + line.width, top, bottom, style.size)


@pytest.mark.parametrize(("color", "opacity"), [((0, 0, 0), 0.6), ((255, 255, 255), 0.45), ((200, 30, 60), 0.75)])
def test_a_see_through_slab_is_told_by_what_it_does_to_the_scene(color: tuple[int, int, int], opacity: float) -> None:
    style = replace(PLAIN, fill=(20, 20, 20), slab=Slab(color, opacity, 6.0, 14.0, 9.0, True))
    drawn = Drawn.of(style)
    found = find_glass([backed(drawn, style)])
    assert found is not None
    assert found.shows
    slab = found.backing.slab
    assert slab.opacity == pytest.approx(opacity, abs=0.06)
    assert np.abs(np.subtract(slab.color, color)).max() < 30
    assert slab.padding_x == pytest.approx(14.0, abs=2.0)
    assert slab.padding_y == pytest.approx(9.0, abs=2.0)


def test_a_see_through_slab_on_an_even_wall_is_found_by_its_borders() -> None:
    style = replace(PLAIN, fill=(20, 20, 20), slab=Slab((255, 255, 255), 0.5, 4.0, 12.0, 8.0, True))
    drawn = Drawn.of(style)
    wall = np.full((*drawn.pictures[0].shape[:2], 3), (70, 90, 110), np.uint8)
    picture = SkiaTextDrawer().draw(wall, drawn.layout, Appearance())
    found = find_tint([backed(replace(drawn, pictures=(picture,)), style)])
    assert found is not None
    assert not found.shows
    assert found.through == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("stroke", [None, Stroke((0, 0, 0), 3.0)])
def test_words_without_a_slab_have_no_tint(stroke: Stroke | None) -> None:
    style = replace(PLAIN, stroke=stroke)
    assert find_tint([backed(Drawn.of(style), style)]) is None
