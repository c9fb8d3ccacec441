"""Roles from words and order, lists, which pay-off belongs to which set-up, and what a call to action asks for."""

from __future__ import annotations

import pytest

from recaster.media.copywriting import CopyLine, classify
from recaster.media.copywriting.language import list_mark
from recaster.media.copywriting.structure import (
    asks_for,
    asks_for_something,
    frame,
    item_count,
    payoffs,
    place_in_run,
    stays_open,
)
from recaster.media.overlays.model import OverlayRole

pytestmark = pytest.mark.unit


def told(*lines: str, first: str = "text") -> list[str]:
    """The roles of lines that the reader has called plain text, but for the first."""
    return [line.role.value for line in classify(plain(*lines, first=first))]


def plain(*lines: str, first: str = "text") -> tuple[CopyLine, ...]:
    return tuple(
        CopyLine(f"ov{number}", OverlayRole(first if not number else "text"), text, 80, 3.0)
        for number, text in enumerate(lines)
    )


def test_a_list_keeps_its_items_and_the_first_line_opens_it() -> None:
    lines = ("3 things I pack", "1. socks", "2️⃣ a book", "Tip 3: snacks", "save this")
    assert told(*lines) == ["hook", "list_item", "list_item", "list_item", "call_to_action"]
    assert item_count(classify(plain(*lines))) == 3


def test_a_set_up_is_followed_by_its_pay_off() -> None:
    assert told("my boss: quick call?", "already on a train", first="hook") == ["setup", "punchline"]
    assert told("3 quick meals", "rice and eggs", "what would you cook?", first="hook")[2] == "call_to_action"
    assert told("POV: monday", "me when the alarm rings", "back to sleep", first="hook")[1:] == ["setup", "punchline"]
    assert told("they said it was easy", "then this happened") == ["setup", "punchline"]
    lines = classify(plain("hi", "me at 6am:", "nobody:", "still asleep", "me at noon:", "also asleep", first="hook"))
    assert payoffs(lines) == {"ov2": "ov3", "ov4": "ov5"}


@pytest.mark.parametrize("text", ["@jane.cooks", "IG: @jane", "tiktok - @jane", "@jane & @joe"])
def test_a_creators_name_is_a_handle_in_any_form(text: str) -> None:
    assert told("look", text, "again")[1] == "handle"


@pytest.mark.parametrize("text", ["TikTok", "made with CapCut", "www.janecooks.com", "© Jane", "TikTok: @jane"])
def test_marks_of_platforms_and_creators_are_watermarks(text: str) -> None:
    assert told("look", text, "again")[1] in ("watermark", "handle")


def test_what_the_reader_knows_by_form_stays() -> None:
    lines = tuple(
        CopyLine(f"ov{number}", role, text, 80, 2.0)
        for number, (role, text) in enumerate(
            [(OverlayRole.HOOK, "save this"), (OverlayRole.CAPTION, "wait for it"), (OverlayRole.HANDLE, "@me")]
        )
    )
    assert [line.role for line in classify(lines)] == [line.role for line in lines]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("save this for later 📌", "save"),
        ("guárdalo para después", "save"),
        ("folge mir für mehr", "follow"),
        ("lien en bio", "link"),
        ("comenta aqui", "comment"),
        ("schick das deiner Freundin", "share"),
        ("try it tonight", "try"),
        ("a slow afternoon", None),
    ],
)
def test_what_a_call_to_action_asks_for(text: str, what: str | None) -> None:
    assert asks_for(text) == what


@pytest.mark.parametrize(
    ("language", "asking", "silent"),
    [
        ("en", "tell me below", "butter is yellow"),
        ("es", "guárdalo", "la sopa es un abrazo"),
        ("fr", "dis-moi", "la soupe du soir"),
        ("de", "schreib mir", "die Suppe vom Abend"),
        ("pt", "me conta", "um caldo bom"),
        ("sv", "vad som helst", ""),
    ],
)
def test_a_call_to_action_asks(language: str, asking: str, silent: str) -> None:
    assert asks_for_something(asking, language)
    assert not silent or not asks_for_something(silent, language)


def test_what_the_opening_makes_of_the_lines_after_it() -> None:
    assert frame(plain("5 mistakes you make", "1. rushing")) == "warning"
    assert frame(plain("how to bake bread", "1. wait")) == "advice"
    assert frame(plain("my sister came over", "she stayed")) == "story"
    assert frame(()) == "story"


def test_a_run_of_plain_lines_has_a_first_a_middle_and_a_last() -> None:
    lines = plain("strip the bed", "water the plants", "call mom")
    assert [place_in_run(lines, line) for line in lines] == ["sequence_first", "sequence_middle", "sequence_last"]
    assert place_in_run(lines[:2], lines[0]) is None


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("1. salt", "1. "),
        ("2) salt", "2) "),
        ("3️⃣ salt", "3️⃣ "),
        ("Step 2: salt", "Step 2: "),
        ("#4 salt", "#4 "),
        ("- salt", "- "),
        ("5 - salt", "5 - "),
        ("3 spoons of salt", ""),
        ("12:30 lunch", ""),
        ("day 4: rest", ""),
        ("1.", ""),
    ],
)
def test_numbering(text: str, mark: str) -> None:
    assert list_mark(text) == mark


def test_an_open_end() -> None:
    assert all(stays_open(text) for text in ("me at 6am:", "and then...", "wait…", "look 👇"))
    assert not stays_open("the end.")
