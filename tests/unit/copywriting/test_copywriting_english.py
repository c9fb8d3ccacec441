"""English verb forms and noun phrases, and the elisions of other languages, where a slot is filled."""

from __future__ import annotations

import pytest

from recaster.media.copywriting.anatomy import anatomy_of, fill
from recaster.media.copywriting.english import (
    gerund,
    gerund_to_instruction,
    instruction_to_gerund,
    is_bare_noun,
    is_clause,
    is_instruction,
    is_noun_phrase,
    is_step,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("freeze", "freezing"), ("put", "putting"), ("stop", "stopping"), ("lie", "lying"), ("be", "being"), ("see", "seeing"),
        ("open", "opening"), ("forget", "forgetting"), ("mix", "mixing"), ("play", "playing"), ("quit", "quitting"),
        ("unplug", "unplugging"), ("agree", "agreeing"), ("clean", "cleaning"),
    ],
)  # fmt: skip
def test_ing_forms(verb: str, form: str) -> None:
    assert gerund(verb) == form


def test_an_instruction_turns_into_an_ing_phrase_only_where_nothing_else_would_have_to_change() -> None:
    assert instruction_to_gerund("freeze the herbs") == "freezing the herbs"
    assert instruction_to_gerund("cook once, eat twice") is None
    assert instruction_to_gerund("wash and chop everything") is None
    assert instruction_to_gerund("purple socks") is None
    assert gerund_to_instruction("buying coffee out") == "buy coffee out"
    assert gerund_to_instruction("thrifting in Lisbon") is None


def test_a_noun_that_is_written_like_a_verb_is_no_instruction() -> None:
    assert is_instruction("water the plants")
    assert not is_instruction("water bottle")
    assert is_instruction("plan your week")
    assert not is_instruction("plan B")
    assert is_step("whisk the eggs")
    assert not is_step("call your mom")


def test_noun_phrases_and_sentences() -> None:
    assert is_noun_phrase("the yellow tram at sunrise")
    assert not is_noun_phrase("the group chat needs a manager")
    assert not is_noun_phrase("my dog likes him")
    assert is_bare_noun("noise cancelling headphones")
    assert not is_bare_noun("thanks for everything")
    assert is_clause("coffee stopped working")
    assert is_clause("small wins add up")
    assert not is_clause("one can of coconut milk")
    assert not is_clause("you grew up in the 90s if")


@pytest.mark.parametrize(
    ("language", "wording", "value", "filled"),
    [
        ("fr", "prends le temps de {inf}", "habiter seul", "prends le temps d'habiter seul"),
        ("fr", "plus de {x}", "le pain", "plus du pain"),
        ("es", "hablemos de {x}", "el sueldo", "hablemos del sueldo"),
        ("pt", "a real de {x}", "os gastos", "a real dos gastos"),
        ("de", "reden wir über {x}", "Der Hof", "reden wir über Der Hof"),
        ("en", "let's talk about {x}", "The truth", "let's talk about the truth"),
        ("en", "so {x}", "I'm late", "so I'm late"),
    ],
)
def test_slots_are_joined_as_the_language_does(language: str, wording: str, value: str, filled: str) -> None:
    assert fill(wording, {"inf": value, "x": value}, language) == filled


@pytest.mark.parametrize(
    ("source", "words", "new"),
    [
        ("1. FREEZE IT 🔥", "chill it", "1. CHILL IT 🔥"),
        ("📌 save this!", "keep this", "📌 keep this!"),
        ("so 😂 good", "so fine", "so fine 😂"),
        ("is it done?", "let me see", "let me see"),
        ("who ate my lunch today?", "and he goes: who ate my lunch today", "and he goes: who ate my lunch today?"),
        ("wait for it...", "hold on", "hold on..."),
        ("Save it. Now", "keep it. always", "Keep it. Always"),
    ],
)
def test_numbering_case_punctuation_and_emoji_stay_around_new_words(source: str, words: str, new: str) -> None:
    assert anatomy_of(source).around(words) == new
