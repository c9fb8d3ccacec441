from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import skia

from recaster.errors import InvalidInput, ModelMissing
from recaster.media.overlays.draw import SkiaTextDrawer
from recaster.media.overlays.fonts import (
    FONT_FOLDER,
    FONTS,
    SCRIPT_FONTS,
    cjk_font_file,
    font_manifest,
    read_font,
)
from recaster.media.overlays.model import (
    Animation,
    OverlayLine,
    OverlayRole,
    OverlayTrack,
    Shadow,
    Slab,
    Stroke,
    TextStyle,
)
from recaster.media.overlays.timing import Appearance, appearance

pytestmark = pytest.mark.unit

FRAME = (360, 640)
BOX = (30.0, 100.0, 330.0, 160.0)
STYLE = TextStyle("tiktok-sans", 700, 30.0, (255, 255, 255), 1.0, None, None, None, "center", 1.28, 0.0)
GRAY = 90


@pytest.fixture(scope="module")
def drawer() -> SkiaTextDrawer:
    return SkiaTextDrawer()


@pytest.fixture
def picture() -> Any:
    return np.full((640, 360, 3), GRAY, np.uint8)


def painted(before: Any, after: Any) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero((before != after).any(axis=2))
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def test_ink_lies_where_the_layout_says(drawer: SkiaTextDrawer, picture: Any) -> None:
    laid = drawer.layout("play with colour", replace(STYLE, stroke=Stroke((0, 0, 0), 3.0)), BOX, FRAME, max_lines=1)
    left, top, right, bottom = painted(picture, drawer.draw(picture, laid))
    assert (left, right) == pytest.approx((laid.box[0], laid.box[2]), abs=4)
    assert (top, bottom) == pytest.approx((laid.box[1], laid.box[3]), abs=1.6)


def test_drawing_leaves_the_given_picture_alone_and_is_the_same_each_time(drawer: SkiaTextDrawer, picture: Any) -> None:
    laid = drawer.layout("same 🔥", STYLE, BOX, FRAME)
    first = drawer.draw(picture, laid)
    assert (picture == GRAY).all()
    assert np.array_equal(first, SkiaTextDrawer().draw(picture, laid))


def test_accents_and_tails_are_not_clipped(drawer: SkiaTextDrawer, picture: Any) -> None:
    laid = drawer.layout("ÅÂŜ gjy", replace(STYLE, rotation=9.0), BOX, FRAME, max_lines=1)
    big = replace(laid, style=laid.style)
    out = drawer.draw(picture, big)
    # The same ink drawn far larger has the same share above the capitals: nothing was cut off.
    assert painted(picture, out)[1] < laid.box[1] + 6
    assert (out[0] == GRAY).all()
    assert (out[-1] == GRAY).all()


def test_emoji_come_in_colour_and_in_their_place(drawer: SkiaTextDrawer, picture: Any) -> None:
    stroked = replace(STYLE, stroke=Stroke((0, 0, 0), 3.0))
    laid = drawer.layout("ok 🔥", stroked, BOX, FRAME, max_lines=1)
    out = drawer.draw(picture, laid).astype(int)
    right = out[:, int(laid.box[2] - 32) :]
    vivid = right.max(axis=2) - right.min(axis=2) > 80
    assert vivid.sum() > 150
    red_over_blue = right[vivid][:, 2].mean() - right[vivid][:, 0].mean()
    assert red_over_blue > 60  # a flame, and not with red and blue swapped


def test_fill_and_stroke_have_the_colours_of_the_style(drawer: SkiaTextDrawer, picture: Any) -> None:
    styled = replace(STYLE, size=40.0, weight=900, fill=(250, 20, 30), stroke=Stroke((10, 200, 40), 4.0))
    out = drawer.draw(picture, drawer.layout("HI", styled, BOX, FRAME))
    colours = {tuple(int(v) for v in c) for c in out.reshape(-1, 3)}
    assert (30, 20, 250) in colours
    assert (40, 200, 10) in colours


def test_a_slab_is_painted_behind_every_line_without_a_slit(drawer: SkiaTextDrawer, picture: Any) -> None:
    slab = Slab((0, 0, 200), 1.0, 8.0, 10.0, 4.0, True)
    laid = drawer.layout("one line\nand two", replace(STYLE, slab=slab), (20.0, 100.0, 340.0, 190.0), FRAME)
    out = drawer.draw(picture, laid)
    column = out[int(laid.box[1]) + 3 : int(laid.box[3]) - 3, 180]
    assert not (column == GRAY).all(axis=1).any()
    assert (out[int(laid.box[1]) + 2, int(laid.center[0])] == (200, 0, 0)).all()


def test_a_shadow_falls_to_its_side(drawer: SkiaTextDrawer, picture: Any) -> None:
    shadow = Shadow((0, 0, 0), 0.8, 6.0, 5.0, 2.0)
    laid = drawer.layout("shade", STYLE, BOX, FRAME)
    plain = painted(picture, drawer.draw(picture, laid))
    shaded = painted(picture, drawer.draw(picture, replace(laid, style=replace(STYLE, shadow=shadow))))
    assert shaded[2] >= plain[2] + 5
    assert shaded[3] >= plain[3] + 4
    assert abs(shaded[0] - plain[0]) <= 1


def test_alpha_scale_and_offset(drawer: SkiaTextDrawer, picture: Any) -> None:
    laid = drawer.layout("moving", STYLE, BOX, FRAME)
    full = drawer.draw(picture, laid)
    half = drawer.draw(picture, laid, Appearance(alpha=0.5))
    assert int(half.max()) == pytest.approx((255 + GRAY) / 2, abs=2)
    assert np.array_equal(drawer.draw(picture, laid, Appearance(alpha=0.0)), picture)
    a, b = painted(picture, full), painted(picture, drawer.draw(picture, laid, Appearance(offset=(-7.0, 11.0))))
    assert (b[0] - a[0], b[1] - a[1]) == (-7, 11)
    c = painted(picture, drawer.draw(picture, laid, Appearance(scale=0.7)))
    assert (c[2] - c[0]) / (a[2] - a[0]) == pytest.approx(0.7, abs=0.03)
    assert (c[0] + c[2]) / 2 == pytest.approx((a[0] + a[2]) / 2, abs=1.5)


def test_text_off_the_frame_is_cut_at_its_edge(drawer: SkiaTextDrawer, picture: Any) -> None:
    laid = drawer.layout("edge", STYLE, BOX, FRAME)
    out = drawer.draw(picture, laid, Appearance(offset=(-150.0, -140.0)))
    assert out.shape == picture.shape
    assert np.array_equal(drawer.draw(picture, laid, Appearance(offset=(4000.0, 0.0))), picture)


def test_no_tofu_is_ever_drawn(drawer: SkiaTextDrawer, picture: Any) -> None:
    laid = drawer.layout("𐌰", STYLE, BOX, FRAME)
    with pytest.raises(InvalidInput, match="𐌰"):
        drawer.draw(picture, laid)


def test_a_layout_of_another_frame_size_is_refused(drawer: SkiaTextDrawer) -> None:
    laid = drawer.layout("a", STYLE, BOX, FRAME)
    with pytest.raises(InvalidInput):
        drawer.draw(np.zeros((100, 100, 3), np.uint8), laid)


def track(entry: Animation, leave: Animation) -> OverlayTrack:
    line = OverlayLine("x", ((0, 0), (1, 0), (1, 1), (0, 1)), 1.0)
    return OverlayTrack("ov1", (line,), 10, 29, 20, BOX, (), STYLE, entry, leave, OverlayRole.TEXT, 1.0)


def test_appearance_follows_the_old_timing() -> None:
    still = track(Animation("none", 0), Animation("none", 0))
    assert appearance(still, 9) is None
    assert appearance(still, 30) is None
    assert appearance(still, 10) == Appearance()
    fading = track(Animation("fade", 3), Animation("fade", 3))
    alphas = [a.alpha for f in range(10, 30) if (a := appearance(fading, f)) is not None]
    assert alphas[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert alphas[-4:] == pytest.approx([1.0, 0.75, 0.5, 0.25])
    popping = appearance(track(Animation("pop", 4), Animation("none", 0)), 10)
    assert popping is not None
    assert 0.7 < popping.scale < 1.0
    typed = [appearance(track(Animation("typed", 9), Animation("none", 0)), f) for f in (10, 14, 19)]
    shown = [a.shown for a in typed if a]
    assert shown == sorted(shown)
    assert shown[-1] == 1.0


def test_typed_text_grows_from_its_start(drawer: SkiaTextDrawer, picture: Any) -> None:
    laid = drawer.layout("typed text", STYLE, BOX, FRAME, max_lines=1)
    a, b = (painted(picture, drawer.draw(picture, laid, Appearance(shown=s))) for s in (0.4, 1.0))
    assert a[0] == b[0]
    assert a[2] < b[2] - 20


def test_every_shipped_font_has_its_hash_licence_and_letters() -> None:
    manifest = font_manifest()
    assert {entry.key for entry in manifest} == {*FONTS, *SCRIPT_FONTS, "noto-color-emoji"}
    for entry in manifest:
        assert len(read_font(entry)) > 15_000
        assert "OPEN FONT LICENSE" in (FONT_FOLDER / entry.licence_file).read_text().upper()
        assert entry.commercial_use
    for family in FONTS.values():
        assert {e.weight for e in manifest if e.key == family.key} == set(family.weights)


def test_a_tampered_font_file_is_refused(tmp_path: Any) -> None:
    entry = font_manifest()[0]
    (tmp_path / entry.file).write_bytes(b"not a font")
    with pytest.raises(ModelMissing, match=entry.file):
        read_font(entry, tmp_path)


@pytest.mark.parametrize(
    "text",
    ["Größe für später", "¿por qué tarda tanto?", "três coisas", "žluťoučký kůň", "Привет", "αβγ", "Tiếng Việt ư"],
)
def test_shipped_fonts_have_the_letters_of_their_scripts(drawer: SkiaTextDrawer, text: str) -> None:
    assert drawer.fits(text, STYLE, BOX, FRAME).missing_glyphs == ()


@pytest.mark.parametrize("text", ["كيف أوفر المال", "सुबह की आदतें", "ประหยัดเงิน", "איך לחסוך כסף"])
def test_other_scripts_are_drawn_bold_with_the_installed_noto_fonts(
    drawer: SkiaTextDrawer, picture: Any, text: str
) -> None:
    laid = drawer.layout(text, STYLE, BOX, FRAME)
    assert laid.missing_glyphs == ()
    ink = (drawer.draw(picture, laid) != picture).any(axis=2).sum()
    letters = drawer.layout("n" * round(laid.lines[0].width / 17), STYLE, BOX, FRAME)
    assert ink > 0.3 * (drawer.draw(picture, letters) != picture).any(axis=2).sum()


def test_names_that_licences_reserve_for_unchanged_fonts_are_borne_by_none() -> None:
    reserved = {"Lora", "Playfair"}  # named in the licence texts beside the two fonts that are built from them
    for entry in font_manifest():
        licence = (FONT_FOLDER / entry.licence_file).read_text().split("PREAMBLE")[0]
        name = skia.Typeface.MakeFromData(skia.Data.MakeWithCopy(read_font(entry))).getFamilyName()
        assert not any(one in name for one in reserved)
        assert "with Reserved Font Name" not in licence or name.startswith("Recaster")


@pytest.mark.skipif(cjk_font_file() is None, reason="the extra cjk is not installed")
@pytest.mark.parametrize("text", ["省钱的七个习惯", "朝の習慣、5つだけ。", "아침 습관 다섯 가지", "省錢的習慣：真的！"])
def test_chinese_japanese_and_korean_are_drawn_bold_with_the_extra(
    drawer: SkiaTextDrawer, picture: Any, text: str
) -> None:
    laid = drawer.layout(text, STYLE, BOX, FRAME)
    assert laid.missing_glyphs == ()
    ink = (drawer.draw(picture, laid) != picture).any(axis=2).sum()
    letters = drawer.layout("n" * round(laid.lines[0].width / 17), STYLE, BOX, FRAME)
    assert ink > 0.6 * (drawer.draw(picture, letters) != picture).any(axis=2).sum()


@pytest.mark.skipif(cjk_font_file() is None, reason="the extra cjk is not installed")
def test_shared_letters_are_drawn_as_the_language_of_the_whole_text_draws_them(
    drawer: SkiaTextDrawer, picture: Any
) -> None:
    laid = drawer.layout("直", STYLE, BOX, FRAME)
    off_the_frame = replace(laid.lines[0], text="ない", x=-500.0)
    in_japanese = replace(laid, lines=(*laid.lines, off_the_frame))
    assert (drawer.draw(picture, laid) != drawer.draw(picture, in_japanese)).any()


def test_without_the_extra_it_is_named(drawer: SkiaTextDrawer, picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recaster.media.overlays._typefaces.cjk_font_file", lambda: None)
    monkeypatch.setattr("recaster.media.overlays.fonts.cjk_font_file", lambda: None)
    laid = drawer.layout("省钱", STYLE, BOX, FRAME)
    assert laid.missing_glyphs == ("省", "钱")
    with pytest.raises(InvalidInput, match="extra 'cjk'"):
        drawer.draw(picture, laid)


def lines_of(laid: Any, dx: float, dy: float) -> tuple[OverlayLine, ...]:
    """The laid lines as a reader would see them somewhere else."""
    return tuple(
        OverlayLine(
            line.text,
            (
                (line.x + dx, line.baseline - laid.line_top + dy),
                (line.x + line.width + dx, line.baseline - laid.line_top + dy),
                (line.x + line.width + dx, line.baseline + laid.line_bottom + dy),
                (line.x + dx, line.baseline + laid.line_bottom + dy),
            ),
            1.0,
        )
        for line in laid.lines
    )


def test_new_words_stand_on_the_baseline_of_the_old_ones(drawer: SkiaTextDrawer, picture: Any) -> None:
    old = drawer.layout("page dpb", STYLE, BOX, FRAME).moved(3.25, -2.5)
    left, top, right, bottom = painted(picture, drawer.draw(picture, old))
    seen = OverlayLine("page dpb", ((left, top), (right, top), (right, bottom), (left, bottom)), 1.0)
    laid = drawer.layout("no tails", STYLE, BOX, FRAME, old_lines=(seen,))
    assert laid.lines[0].baseline == pytest.approx(old.lines[0].baseline, abs=0.6)
    assert laid.center[0] == pytest.approx(old.center[0], abs=0.6)


def test_letters_stand_between_pixels_where_the_layout_says(drawer: SkiaTextDrawer, picture: Any) -> None:
    laid = drawer.layout("HELLO", STYLE, BOX, FRAME)

    def weight_centre(moved: tuple[float, float]) -> Any:
        ink = drawer.draw(picture, laid.moved(*moved)).astype(float)[..., 0] - GRAY
        ys, xs = np.indices(ink.shape)
        return np.array([(ink * xs).sum(), (ink * ys).sum()]) / ink.sum()

    start = weight_centre((0.0, 0.0))
    for move in ((0.5, 0.0), (0.0, 0.5), (0.25, 0.75)):
        assert weight_centre(move) - start == pytest.approx(np.array(move), abs=0.13)


def test_letters_can_be_spaced(drawer: SkiaTextDrawer, picture: Any) -> None:
    tight = drawer.layout("wide words", STYLE, BOX, FRAME, max_lines=1)
    loose = drawer.layout("wide words", replace(STYLE, letter_spacing=0.05), BOX, FRAME, max_lines=1)
    assert loose.lines[0].width - tight.lines[0].width == pytest.approx(10 * 0.05 * STYLE.size, abs=2)
    spans = [painted(picture, drawer.draw(picture, laid)) for laid in (tight, loose)]
    assert (spans[1][2] - spans[1][0]) - (spans[0][2] - spans[0][0]) == pytest.approx(9 * 0.05 * STYLE.size, abs=2)


def test_a_slab_keeps_its_place_around_other_words(drawer: SkiaTextDrawer, picture: Any) -> None:
    style = replace(STYLE, slab=Slab((200, 30, 30), 1.0, 8.0, 14.0, 8.0, True))
    old = drawer.layout("old page", style, BOX, FRAME)
    lower = tuple(value + (4.0 if side % 2 else 0.0) for side, value in enumerate(old.box))
    laid = drawer.layout("new", style, lower, FRAME, old_lines=lines_of(old, 0.0, 0.0))
    _, top, _, bottom = painted(picture, drawer.draw(picture, laid))
    assert (top, bottom) == pytest.approx((lower[1], lower[3]), abs=2)
    assert laid.lines[0].baseline == pytest.approx(old.lines[0].baseline, abs=1.5)
    assert laid.box[2] - laid.box[0] < old.box[2] - old.box[0]


def test_the_word_being_said_lights_up(drawer: SkiaTextDrawer, picture: Any) -> None:
    style = replace(STYLE, active_fill=(0, 0, 0), active_slab=(20, 200, 60))
    spoken = replace(track(Animation("none", 0), Animation("none", 0)), style=style)
    first, last = appearance(spoken, 10), appearance(spoken, 29)
    assert first is not None
    assert last is not None
    laid = drawer.layout("one two", style, BOX, FRAME)
    middle = round(laid.center[0])
    green = [
        ((drawer.draw(picture, laid, look) == (60, 200, 20)).all(axis=2)).any(axis=0).nonzero()[0]
        for look in (first, last)
    ]
    assert green[0].max() < middle + 4
    assert green[1].min() > middle - 12
