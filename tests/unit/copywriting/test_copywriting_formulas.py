"""The embedded adapter: meaning, structure, coherence and honesty of what it writes."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recaster.errors import Cancelled, CopyRejected
from recaster.media.copywriting import (
    AdaptedLine,
    BrandProfile,
    CopyLine,
    CopyRequest,
    CopyResult,
    Fits,
    FitVerdict,
    FormulaAdapter,
    check_copy,
)
from recaster.media.copywriting.checks import check_line
from recaster.media.copywriting.claims import claims
from recaster.media.copywriting.corpus import CORPUS_LANGUAGES, corpus_problems, load_corpus
from recaster.media.overlays.model import OverlayRole

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).parents[3] / "examples" / "brand.toml"
PLAIN = BrandProfile(name="Larkspoon")
LIST = (
    ("hook", "3 things I wish I knew before meal prepping"),
    ("list_item", "1. freeze the herbs"),
    ("list_item", "2. label every jar"),
    ("list_item", "3. cook once, eat twice"),
    ("call_to_action", "save this for later 📌"),
)


def roomy(line_id: str, text: str) -> FitVerdict:
    return FitVerdict(len(text) <= 80, 80)


def request(*lines: tuple[str, str], brand: BrandProfile = PLAIN, language: str = "en", seed: int = 0) -> CopyRequest:
    return CopyRequest(
        tuple(CopyLine(f"ov{i}", OverlayRole(role), text, 80, 6.0) for i, (role, text) in enumerate(lines, 1)),
        brand,
        language,
        seed=seed,
    )


def write(asked: CopyRequest, fits: Fits = roomy) -> CopyResult:
    result = FormulaAdapter().adapt(asked, fits)
    assert check_copy(asked, result, fits) == ()
    return result


@pytest.mark.parametrize(("language", "least"), [("en", 150), ("es", 60), ("fr", 60), ("de", 60), ("pt", 60)])
def test_a_corpus_is_large_enough_and_has_no_problems(language: str, least: int) -> None:
    corpus = load_corpus(language)
    assert corpus_problems(corpus) == ()
    assert len(corpus.formulas) >= least
    assert {formula.name for formula in corpus.formulas} <= {formula.name for formula in load_corpus("en").formulas}


@pytest.mark.parametrize("language", CORPUS_LANGUAGES)
def test_no_wording_of_a_corpus_makes_a_claim_or_swears(language: str) -> None:
    for formula in load_corpus(language).formulas:
        for wording in formula.write:
            filled = re.sub(r"\{\w+\}", "", wording.text)
            assert claims(filled, "", PLAIN, language) == (), wording
            assert check_profanity(filled, language) == frozenset(), wording


def check_profanity(text: str, language: str) -> frozenset[str]:
    line = CopyLine("ov1", OverlayRole.TEXT, "x", 200, 20.0)
    new = AdaptedLine("ov1", OverlayRole.TEXT, "x", text.strip(), "adapted", "formula", "")
    found = check_line(request(language=language), line, new, lambda _, __: FitVerdict(True, 200))
    return frozenset(violation.message for violation in found if violation.rule == "profanity")


def test_a_list_keeps_its_numbering_its_count_and_its_subject() -> None:
    texts = [line.text for line in write(request(*LIST)).lines]
    assert "3" in texts[0]
    assert "meal prepping" in texts[0]
    assert [text[:3] for text in texts[1:4]] == ["1. ", "2. ", "3. "]
    assert texts[4].endswith(" 📌")
    assert all(new != old for new, (_, old) in zip(texts, LIST, strict=True))


def test_with_a_message_bank_hook_and_list_come_from_the_brand_together() -> None:
    result = write(request(*LIST, brand=BrandProfile.from_toml(EXAMPLE)))
    assert {line.path for line in result.lines} == {"bank"}
    assert result.lines[0].text.startswith("3 ")
    assert len({line.text for line in result.lines}) == 5


def test_a_bank_without_enough_list_items_leaves_hook_and_list_to_the_formulas() -> None:
    brand = BrandProfile(
        name="X", message_bank={"en": {OverlayRole.HOOK: ("{n} fern facts",), OverlayRole.LIST_ITEM: ("mist it",)}}
    )
    result = write(request(*LIST, brand=brand))
    assert "bank" not in {line.path for line in result.lines}


def test_the_count_in_a_hook_of_the_bank_must_be_the_number_of_items() -> None:
    bank = {OverlayRole.HOOK: ("5 fern facts",), OverlayRole.LIST_ITEM: ("mist it", "turn it weekly", "feed it")}
    result = write(request(*LIST, brand=BrandProfile(name="X", message_bank={"en": bank})))
    assert "5" not in result.lines[0].text


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("handle", "@jane.cooks"),
        ("watermark", "TikTok"),
        ("caption", "wait for it"),
        ("text", "📌📌"),
        ("text", "12:30"),
    ],
)
def test_what_is_not_the_brands_to_rewrite_is_kept(role: str, text: str) -> None:
    line = write(request((role, text))).lines[0]
    assert (line.action, line.path, line.text) == ("kept", "kept", text)
    assert line.reason


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("WAIT FOR IT 😭", str.isupper),
        ("wait for it 😭", str.islower),
        ("Wait for it 😭", lambda text: text[0].isupper() and text[1:].islower()),
    ],
)
def test_upper_and_lower_case_follow_the_source(source: str, wanted: object) -> None:
    text = write(request(("suspense", source))).lines[0].text
    assert text != source
    assert wanted(text)  # type: ignore[operator]


def test_pov_stays_pov_and_keeps_its_subject() -> None:
    text = write(request(("hook", "POV: you finally found a planner that works"))).lines[0].text
    assert text.startswith("POV: ")
    assert "a planner that works" in text


def test_a_line_known_as_a_whole_is_not_cut_up() -> None:
    for seed in range(8):
        text = write(request(("hook", "nobody talks about this"), seed=seed)).lines[0].text
        assert not text.startswith("this")


def test_the_same_request_gives_the_same_texts_and_seeds_differ() -> None:
    first = [write(request(*LIST, seed=seed)) for seed in range(6)]
    assert first == [write(request(*LIST, seed=seed)) for seed in range(6)]
    assert len({tuple(line.text for line in result.lines) for result in first}) > 1


def test_a_line_without_room_for_anything_new_is_kept() -> None:
    asked = request(*LIST)
    result = write(asked, lambda _, text: FitVerdict(False, 1))
    assert {line.action for line in result.lines} == {"kept"}


def test_a_required_term_stands_in_the_video() -> None:
    brand = BrandProfile(name="Larkspoon", required_terms=("Larkspoon",))
    result = write(request(*LIST, brand=brand))
    assert "Larkspoon" in result.lines[-1].text


def test_where_no_required_term_has_room_everything_is_kept_with_the_reason() -> None:
    brand = BrandProfile(name="Larkspoon", required_terms=("zymurgy of the long evenings by the quiet sea",))
    result = write(request(*LIST, brand=brand), lambda _, text: FitVerdict(len(text) <= 60, 60))
    assert {line.action for line in result.lines} == {"kept"}
    assert "zymurgy" in result.lines[0].reason


def test_another_language_is_written_from_the_shared_meanings() -> None:
    result = write(request(("suspense", "wait for it"), ("call_to_action", "save this for later 📌"), language="es"))
    assert {line.path for line in result.lines} == {"formula"}
    assert result.lines[1].text.endswith(" 📌")


def test_another_language_without_candidates_is_refused_naming_the_lines() -> None:
    with pytest.raises(CopyRejected) as refusal:
        FormulaAdapter().adapt(request(*LIST, language="es"), roomy)
    assert [line["id"] for line in refusal.value.details["lines"]] == ["ov2", "ov3", "ov4"]
    assert "message bank" in refusal.value.message


def test_another_language_with_a_bank_is_written_whole() -> None:
    items = ("congela las hierbas frescas", "ponle nombre a cada frasco", "haz la lista antes de salir")
    brand = BrandProfile(
        name="X",
        message_bank={"es": {OverlayRole.HOOK: ("{n} cosas que cambiaron mi cocina",), OverlayRole.LIST_ITEM: items}},
    )
    result = write(request(*LIST, brand=brand, language="es"))
    assert {line.action for line in result.lines} == {"adapted"}


def test_progress_reaches_the_end_and_may_cancel() -> None:
    seen: list[tuple[int, int]] = []
    FormulaAdapter().adapt(request(*LIST), roomy, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)
    assert seen == sorted(seen)

    def cancel(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        FormulaAdapter().adapt(request(*LIST), roomy, cancel)


def test_english_to_english_loads_no_language_model_and_no_client_library() -> None:
    script = (
        "import sys\n"
        "from recaster.media.copywriting import *\n"
        "from recaster.media.copywriting import language\n"
        "from recaster.media.overlays.model import OverlayRole as R\n"
        "r = CopyRequest((CopyLine('a', R.SUSPENSE, 'wait for it', 40, 3.0),), BrandProfile(name='X'), 'en')\n"
        "FormulaAdapter().adapt(r, lambda i, t: FitVerdict(True, 40))\n"
        "import recaster.media.copywriting.provider\n"
        "assert language._detector.cache_info().currsize == 0\n"
        "assert 'pydantic_ai' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


PIECES = st.one_of(
    st.sampled_from([text for _, text in LIST]),
    st.sampled_from(
        [
            "stop buying {}",
            "me when {}",
            "POV: you finally found {}",
            "5 mistakes you make when {}",
            "how to {}",
            "2. {}",
        ]
    ).flatmap(
        lambda form: st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30).map(
            form.format
        )
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=50),
)


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.tuples(st.sampled_from(list(OverlayRole)), PIECES), min_size=1, max_size=6),
    banned=st.lists(st.sampled_from(["just", "please", "habit", "save", "things", "stay"]), max_size=4),
    required=st.lists(st.sampled_from(["Larkspoon", "meal planning"]), max_size=1),
    room=st.integers(5, 70),
    seconds=st.floats(0.3, 6),
    seed=st.integers(0, 1000),
)
def test_whatever_comes_in_no_rule_is_broken(
    lines: list[tuple[OverlayRole, str]],
    banned: list[str],
    required: list[str],
    room: int,
    seconds: float,
    seed: int,
) -> None:
    brand = BrandProfile.from_toml(EXAMPLE).model_copy(
        update={"banned_words": tuple(banned), "required_terms": tuple(required)}
    )
    asked = CopyRequest(
        tuple(CopyLine(f"ov{i}", role, text, room, seconds) for i, (role, text) in enumerate(lines)),
        brand,
        "en",
        source_language="en",
        seed=seed,
    )
    with contextlib.suppress(CopyRejected):
        write(asked, lambda _, text: FitVerdict(len(text) <= room, room))


def test_a_banned_word_that_cannot_be_replaced_is_the_reason_to_refuse() -> None:
    brand = BrandProfile(name="Larkspoon", banned_words=("zymurgy",))
    with pytest.raises(CopyRejected) as refusal:
        FormulaAdapter().adapt(request(("text", "zymurgy is underway"), brand=brand), roomy)
    assert {violation["rule"] for violation in refusal.value.details["violations"]} == {"banned"}


def test_a_single_odd_word_does_not_make_a_video_foreign() -> None:
    for text in ("part 2", "Larkspoon", "ramen", "brunch"):
        assert write(request(("text", text))).lines[0].text
