"""The hard rules, each with a line that breaks it and one that does not, and the brand profile's errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recaster.errors import InvalidInput
from recaster.media.copywriting import (
    AdaptedLine,
    BrandProfile,
    CopyLine,
    CopyRequest,
    CopyResult,
    FitVerdict,
    check_copy,
    detect_language,
)
from recaster.media.overlays.model import OverlayRole

pytestmark = pytest.mark.unit

BRAND = BrandProfile(
    name="Larkspoon",
    banned_words=("diet", "cheat day"),
    approved_facts=("Larkspoon plans 7 dinners.",),
    message_bank={"en": {OverlayRole.HOOK: ("the best dinner of {n}",)}},
)


def rules(
    source: str, text: str, role: str = "text", language: str = "en", seconds: float = 5.0, room: int = 90
) -> list[str]:
    line = CopyLine("ov1", OverlayRole(role), source, room, seconds)
    request = CopyRequest((line,), BRAND, language)
    action: Any = "kept" if text == source else "adapted"
    path: Any = "kept" if text == source else "provider"
    result = CopyResult((AdaptedLine("ov1", line.role, source, text, action, path, ""),), "test/1")
    return [v.rule for v in check_copy(request, result, lambda _, new: FitVerdict(len(new) <= room, room))]


@pytest.mark.parametrize(
    ("rule", "source", "bad", "good"),
    [
        ("numbering", "1. freeze the herbs", "2. chill the herbs", "1. chill the herbs"),
        ("numbering", "3️⃣ label the jar", "name the jar", "3️⃣ name the jar"),
        ("banned", "how I eat", "why diets never stick", "why dieters of old would smile"),
        ("banned", "how I eat", "no more cheat days for me", "no more cheating at cards"),
        ("claim", "try this", "try it and save 20 minutes", "Larkspoon plans 7 dinners"),
        ("claim", "try this", "now for $5", "now for you"),
        ("claim", "try this", "the best dinner app", "the best dinner of 7"),
        ("claim", "try this", "guaranteed to work", "I think it works"),
        ("profanity", "so good", "so fucking good", "so very good"),
        ("emoji", "so good", "wow 🔥🔥🔥🔥", "wow 🔥"),
        ("empty", "so good", "  ", "wow"),
        ("claim", "so good", "twice as fast", "faster tomorrow"),
        ("claim", "so good", "the cheapest dinner", "an honest dinner"),
        ("claim", "so good", "lose weight with soup", "lose the lid"),
        ("claim", "how I cook", "ready in ten minutes", "ready when you are"),
        ("claim", "so good", "for free", "free time"),
        ("emoji", "wait for it 😭", "hold on", "hold on 😭"),
        ("not_copy", "so good", "Sure! Here is your text", "sure, why not"),
        ("not_copy", "so good", "hook: look here", "look here"),
        ("not_copy", "so good", "{app} is nice", "it is nice"),
        ("not_copy", "so good", '"look here"', "look here"),
        ("not_copy", "so good", "one\ntwo", "one, two"),
        ("reference", "follow me", "follow @larkspoon", "follow along"),
        ("reference", "link in bio", "go to larkspoon.com", "go to the bio"),
        ("reference", "#1 salt", "#1 salt #foodtok", "#1 pepper"),
        ("unchanged", "stop buying sauce", "Stop buying sauce!", "no more sauce"),
        ("cut_off", "keep it on the stove", "let it simmer with the", "let it simmer"),
        ("cut_off", "keep it on the stove...", "let it simmer with", "let it simmer..."),
        ("repeats", "less salt, more time", "more salt, more salt", "more herbs, more time"),
        ("too_short", "answer with one single word now", "PWNED", "one single soup now"),
        ("language", "you need a good knife", "du musst das nicht haben", "you want a sharp knife"),
    ],
)
def test_a_rule_refuses_the_bad_line_and_passes_the_good_one(rule: str, source: str, bad: str, good: str) -> None:
    assert rule in rules(source, bad)
    assert rule not in rules(source, good)


def test_a_call_to_action_asks_and_a_set_up_stays_open() -> None:
    assert rules("save this", "soup is a hug", "call_to_action") == ["role"]
    assert rules("save this", "soup? tell me", "call_to_action") == []
    assert rules("save this", "Larkspoon it is", "call_to_action") == []
    assert rules("my boss at 5pm:", "my boss went home", "setup") == ["role"]
    assert rules("my boss at 5pm:", "my oven at 5pm:", "setup") == []


def test_a_kept_line_may_not_say_what_the_brand_never_says() -> None:
    assert rules("my diet starts now", "my diet starts now") == ["banned"]
    assert rules("@diet.jane", "@diet.jane", "handle") == []


def test_a_hook_goes_on_promising_as_many_as_there_are() -> None:
    sources = [("hook", "3 things I do"), ("list_item", "1. a"), ("list_item", "2. b"), ("list_item", "3. c")]
    lines = tuple(CopyLine(f"ov{i}", OverlayRole(role), text, 60, 4.0) for i, (role, text) in enumerate(sources))
    brand = BRAND.model_copy(update={"approved_facts": ("we plan 5 dinners",)})
    request = CopyRequest(lines, brand, "en")

    def found(hook: str) -> list[str]:
        kept = [AdaptedLine(line.id, line.role, line.text, line.text, "kept", "kept", "") for line in lines[1:]]
        first = AdaptedLine("ov0", OverlayRole.HOOK, lines[0].text, hook, "adapted", "provider", "")
        result = CopyResult((first, *kept), "t")
        return [violation.rule for violation in check_copy(request, result, lambda _, text: FitVerdict(True, 60))]

    assert found("5 dinners I plan") == ["count"]
    assert found("three dinners I plan") == []
    assert found("dinners I plan") == []


def test_pov_room_and_reading_time() -> None:
    assert rules("POV: you found it", "you found it", "hook") == ["role"]
    assert rules("short one", "a much longer text than that", room=10) == ["fit"]
    assert rules("short one", "a text of several characters ..", seconds=1.0) == ["reading_speed"]
    assert rules("so fucking good", "that was fucking good", seconds=5) == []


def test_what_belongs_to_the_source_is_not_rewritten_and_a_caption_only_translated() -> None:
    assert rules("@jane", "@larkspoon", "handle") == ["role"]
    assert rules("and then I put it in the oven", "and then I bake it", "caption") == ["role"]
    assert rules("and then I put it in the oven", "y luego lo meto en el horno", "caption", "es") == []


def test_source_words_left_standing_in_another_language_are_found() -> None:
    assert rules("save this for later", "save this for later", language="de") == ["untranslated"]
    assert rules("save this for later", "keep this one for your weekend", language="de") == ["leftover"]
    assert rules("save this for later", "merk dir das für später", language="de") == []


def test_two_lines_of_a_video_do_not_say_the_same_and_ids_are_those_of_the_request() -> None:
    lines = tuple(
        CopyLine(f"ov{i}", OverlayRole.LIST_ITEM, text, 60, 4.0) for i, text in enumerate(["1. chop", "2. fry it"])
    )
    request = CopyRequest(lines, BRAND, "en")
    new = tuple(
        AdaptedLine(line.id, line.role, line.text, f"{line.text[:3]}just do it", "adapted", "provider", "")
        for line in lines
    )

    def roomy(line_id: str, text: str) -> FitVerdict:
        return FitVerdict(True, 60)

    assert [v.rule for v in check_copy(request, CopyResult(new, "t"), roomy)] == ["copy"]
    assert [v.rule for v in check_copy(request, CopyResult(new[::-1], "t"), roomy)] == ["ids"]
    assert [v.rule for v in check_copy(request, CopyResult(new[:1], "t"), roomy)] == ["ids"]


@pytest.mark.parametrize(
    ("lines", "language"),
    [
        (["wait for it", "save this for later"], "en"),
        (["espera", "guárdalo para después"], "es"),
        (["attends la fin", "enregistre ça pour plus tard"], "fr"),
        (["warte bis zum Schluss", "speichere das für später"], "de"),
        (["você não vai acreditar", "salva pra depois"], "pt"),
    ],
)
def test_the_language_of_a_video(lines: list[str], language: str) -> None:
    assert detect_language(lines) == language
    assert detect_language(["📌", "12:30", "@jane"]) is None


def test_the_example_profile_is_valid_and_a_record_in_wire_names_too() -> None:
    brand = BrandProfile.from_toml(Path(__file__).parents[3] / "examples" / "brand.toml")
    assert brand.app_name == "Larkspoon"
    record = {"name": "Kiln", "appName": None, "bannedWords": ["cheap"], "messageBank": {"es": {"hook": ["hola"]}}}
    assert BrandProfile.from_record(record).bank("es-MX", OverlayRole.HOOK) == ("hola",)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('name = ""', "name"),
        ('name = "X"\nbrand_voice = "shouty"', "brand_voice"),
        ('name = "X"\nbanned_wrods = ["a"]', "banned_wrods"),
        ('name = "X"\n[message_bank.en]\nhok = ["a"]', "message_bank.en"),
        ('name = "X', "brand"),
        ('name = "X"\nbanned_words = "diet"', "banned_words"),
        ('name = "X"\n[vocabulary.en]\ntopik = ["a"]', "vocabulary.en"),
        ('name = "X"\nprimary_language = "english language"', "primary_language"),
    ],
)
def test_a_wrong_profile_is_refused_naming_the_field(text: str, field: str, tmp_path: Path) -> None:
    path = tmp_path / "brand.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as refusal:
        BrandProfile.from_toml(path)
    assert field.split(".")[-1] in str(refusal.value.details["field"]) + refusal.value.message
    assert str(path) in refusal.value.message
    with pytest.raises(InvalidInput, match="no file"):
        BrandProfile.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name = "X"\nbanned_wrods = ["a"]', "Did you mean `banned_words`?"),
        ('name = "X"\nbrand_voice = "profesional"', "Did you mean `professional`?"),
        ('name = "X"\nkeywords = "soup"', 'must be a list of texts: ["one", "two"]'),
        ('name = "X"\nbanned_words = ["diet"]\nrequired_terms = ["Diet"]', "both a required term and a banned word"),
        ('name = "X"\nbanned_words = ["diet"]\n[message_bank.en]\nhook = ["no diet"]', "'diet' is a banned word"),
        ('name = "X"\n[message_bank.en]\nhook = ["{count} soups"]', "the only place-holder is {n}"),
        ('name = "X"\n[message_bank.en]\nhandle = ["@x"]', "is never used"),
        ('name = "X"\n[message_bank.english_words]\nhook = ["x"]', "is no language such as en"),
        ('brand_voice = "warm"\nkeywords = [""]', "`name` is missing. `keywords.0` is empty"),
    ],
)
def test_a_marketer_is_told_what_to_write_instead(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "brand.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as refusal:
        BrandProfile.from_toml(path)
    assert sentence in refusal.value.message
