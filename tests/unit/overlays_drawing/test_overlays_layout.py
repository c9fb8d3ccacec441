from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recaster.errors import InvalidInput
from recaster.media.overlays.draw import SkiaTextDrawer
from recaster.media.overlays.layout import SMALLEST_SCALE, DoesNotFit, SafeZone, graphemes
from recaster.media.overlays.line_breaking import break_lines
from recaster.media.overlays.model import Slab, Stroke, TextStyle

pytestmark = pytest.mark.unit

FRAME = (720, 1280)
BOX = (90.0, 200.0, 630.0, 320.0)


def style(**changes: object) -> TextStyle:
    values: dict[str, object] = {
        "font": "tiktok-sans",
        "weight": 700,
        "size": 46.0,
        "fill": (255, 255, 255),
        "opacity": 1.0,
        "stroke": None,
        "shadow": None,
        "slab": None,
        "align": "center",
        "line_spacing": 1.28,
        "rotation": 0.0,
    }
    return TextStyle(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def drawer() -> SkiaTextDrawer:
    return SkiaTextDrawer()


def fixed_width(run: str) -> float:
    return float(len(run))


@given(
    words=st.lists(st.text("abcdefgh", min_size=1, max_size=8), min_size=1, max_size=14),
    width=st.integers(8, 40),
    lines=st.integers(1, 6),
)
@settings(max_examples=150, deadline=None)
def test_lines_hold_all_words_in_order_and_none_is_too_wide(words: list[str], width: int, lines: int) -> None:
    found = break_lines(" ".join(words), width, lines, fixed_width)
    if found is None:
        # A greedy filler must not do it either: "does not fit" is never said of a text that fits.
        greedy, rows = 0, 1
        for word in words:
            if greedy and greedy + 1 + len(word) > width:
                rows, greedy = rows + 1, len(word)
            else:
                greedy += len(word) + (1 if greedy else 0)
        assert rows > lines
    else:
        assert " ".join(found).split() == words
        assert len(found) <= lines
        assert all(len(line) <= width for line in found)


def test_breaks_are_balanced_and_leave_no_orphan() -> None:
    text = "things I wish I knew before booking flights"
    found = break_lines(text, 30, 4, fixed_width)
    assert found is not None
    assert len(found) == 2
    assert abs(len(found[0]) - len(found[1])) <= 6


def test_explicit_breaks_are_kept_and_a_list_marker_stays_with_its_word() -> None:
    assert break_lines("a b\nc", 30, 4, fixed_width) == ("a b", "c")
    found = break_lines("1. measurement", 12, 3, fixed_width)
    assert found is None  # "1." alone on a line would be the only way


def test_chinese_breaks_between_characters_but_not_before_a_full_stop() -> None:
    found = break_lines("今天我们学习怎么做饭。", 6, 3, fixed_width)
    assert found is not None
    assert "".join(found) == "今天我们学习怎么做饭。"
    assert all(len(line) <= 6 and not line.startswith("。") for line in found)


@pytest.mark.parametrize(
    "text",
    [
        "「本当に」大切なこと、3つだけ。ちょっと待って！",
        "这是（真的）很重要的事：请“收藏”起来。",
        "ビューティー・ルーティン〜朝編〜",
    ],
)
@pytest.mark.parametrize("width", [4.0, 5.0, 7.0])
def test_no_mark_begins_and_no_bracket_ends_a_line(text: str, width: float) -> None:
    lines = break_lines(text, width, 20, lambda run: float(len(run)))
    assert lines is not None
    assert "".join(lines) == text
    assert all(line[0] not in "、。，：！）」』”ーっゃゅょッャュョ・〜" for line in lines)
    assert all(line[-1] not in "（「『“" for line in lines)


def test_latin_words_and_numbers_stay_whole_between_chinese_letters() -> None:
    lines = break_lines("每天只要10分钟用iPhone拍", 6.0, 9, lambda run: float(len(run)))
    assert lines is not None
    assert any("iPhone" in line for line in lines)
    assert any("10" in line for line in lines)


def test_text_that_fits_keeps_its_size_and_stays_centred(drawer: SkiaTextDrawer) -> None:
    laid = drawer.layout("my honest desk setup", style(), BOX, FRAME)
    assert laid.scale == 1.0
    assert laid.center == pytest.approx((360.0, 260.0), abs=0.6)


@pytest.mark.parametrize(("align", "edge"), [("left", 0), ("right", 2)])
def test_alignment_keeps_the_old_edge(drawer: SkiaTextDrawer, align: str, edge: int) -> None:
    laid = drawer.layout("short", style(align=align), BOX, FRAME, max_lines=1)
    assert laid.box[edge] == pytest.approx(BOX[edge], abs=0.6)


def test_a_longer_text_steps_down_and_then_says_how_much_would_fit(drawer: SkiaTextDrawer) -> None:
    box = (60.0, 200.0, 660.0, 250.0)
    text = "why does nobody talk about this"
    longer = text + " here"
    assert SMALLEST_SCALE <= drawer.layout(longer, style(), box, FRAME, max_lines=1).scale < 1.0
    far = " ".join([text] * 3)
    with pytest.raises(DoesNotFit) as caught:
        drawer.layout(far, style(), box, FRAME, max_lines=1)
    report = caught.value.report
    assert not report.fits
    assert report.graphemes == len(far)
    kept = far[: report.max_graphemes].rstrip()
    assert drawer.fits(kept, style(), box, FRAME, max_lines=1).fits
    assert caught.value.details["max_graphemes"] == report.max_graphemes


@given(
    text=st.text("abc defg hij ÄÖ", min_size=1, max_size=60).filter(str.strip),
    left=st.floats(0, 500),
    top=st.floats(0, 1100),
    rotation=st.sampled_from([0.0, -8.0, 12.0]),
    size=st.floats(20, 60),
)
@settings(max_examples=60, deadline=None)
def test_a_layout_never_leaves_safe_zone_and_old_box(
    text: str, left: float, top: float, rotation: float, size: float
) -> None:
    drawer = SkiaTextDrawer(zone=SafeZone())
    box = (left, top, left + 200, top + 120)
    slab = Slab((0, 0, 0), 1.0, 10, 12, 6, True)
    try:
        laid = drawer.layout(text, style(size=size, rotation=rotation, slab=slab), box, FRAME, max_lines=3)
    except DoesNotFit:
        return
    if rotation == 0.0:
        zone = SafeZone().box(FRAME)
        assert laid.box[0] >= min(zone[0], box[0]) - 1.5
        assert laid.box[2] <= max(zone[2], box[2]) + 1.5
        assert laid.box[1] >= min(zone[1], box[1]) - 1.5
        assert laid.box[3] <= max(zone[3], box[3]) + 1.5


def test_characters_no_font_has_are_named(drawer: SkiaTextDrawer) -> None:
    report = drawer.fits("ok 𐌰 🔥 né", style(), BOX, FRAME)
    assert report.missing_glyphs == ("𐌰",)


def test_an_unknown_font_is_refused_with_the_ones_there_are(drawer: SkiaTextDrawer) -> None:
    with pytest.raises(InvalidInput, match="tiktok-sans"):
        drawer.layout("a", style(font="comic"), BOX, FRAME)


def test_a_family_of_emoji_counts_as_one_grapheme() -> None:
    assert len(graphemes("a👩‍👩‍👧‍👦é\n1️⃣")) == 4


def test_the_stroke_is_part_of_what_has_to_fit(drawer: SkiaTextDrawer) -> None:
    plain = drawer.layout("same words", style(), BOX, FRAME, max_lines=1).box
    stroked = drawer.layout("same words", style(stroke=Stroke((0, 0, 0), 5.0)), BOX, FRAME, max_lines=1).box
    assert stroked[2] - stroked[0] == pytest.approx(plain[2] - plain[0] + 10.0, abs=0.1)
