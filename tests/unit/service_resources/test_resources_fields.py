from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from recaster.service.fields import (
    Moment,
    Territory,
    TimeZone,
    language_covers,
    language_tag,
    plain_line,
)
from recaster.service.influencers.schemas import Consent, InfluencerCreate
from recaster.service.layers.schemas import LayerCreate, LayerPatch
from recaster.service.projects.schemas import METADATA_BYTES, ProjectCreate, ProjectPatch
from recaster.service.social.schemas import SocialAccountCreate
from recaster.service.sources.schemas import SourceUpload, is_tiktok_video_id

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("given_tag", "expected"),
    [
        ("en", "en"),
        ("DE", "de"),
        ("pt-br", "pt-BR"),
        ("ZH-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-rozaj-biske", "sl-rozaj-biske"),
        ("de-1996-u-co-phonebk", "de-1996-u-co-phonebk"),
        ("en-x-brand", "en-x-brand"),
    ],
)
def test_language_tags_take_their_recommended_spelling(given_tag: str, expected: str) -> None:
    assert language_tag(given_tag) == expected
    assert language_tag(expected) == expected


@pytest.mark.parametrize("bad", ["", "e", "en_US", "english_language", "en-", "-en", "1n", "en-US-", "x" * 40, "en\n"])
def test_what_is_no_language_tag_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="BCP 47"):
        language_tag(bad)


@pytest.mark.parametrize(
    ("granted", "asked", "covered"),
    [
        ("*", "de", True),
        ("en", "en-US", True),
        ("en-US", "en", False),
        ("en", "eng", False),
        ("pt-BR", "pt-br", True),
        ("de", "en", False),
    ],
)
def test_a_wide_language_covers_a_narrow_one(granted: str, asked: str, covered: bool) -> None:
    assert language_covers(granted, asked) is covered


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_time_zones_of_the_iana_database_pass(zone: str) -> None:
    assert TypeAdapter(TimeZone).validate_python(zone) == zone


@pytest.mark.parametrize("zone", ["", "Mars/Base", "America", "../../etc/passwd", "europe/berlin", "Europe/Berlin "])
def test_other_time_zones_do_not(zone: str) -> None:
    with pytest.raises(ValidationError, match="IANA"):
        TypeAdapter(TimeZone).validate_python(zone)


def test_times_are_kept_in_utc_and_cut_to_milliseconds() -> None:
    moment = TypeAdapter(Moment).validate_python("2026-01-31T10:00:00.123999+02:00")
    assert moment == datetime(2026, 1, 31, 8, 0, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize("bad", ["2026-01-31T10:00:00", "soon", 1769846400, None, "0001-01-01T00:00:00+05:00"])
def test_times_without_offset_and_other_things_are_no_times(bad: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(bad)


@pytest.mark.parametrize("bad", ["de", "DEU", "D1", "", "ＤＥ"])
def test_territories_are_two_capital_letters_or_a_star(bad: str) -> None:
    assert TypeAdapter(Territory).validate_python("*") == "*"
    with pytest.raises(ValidationError):
        TypeAdapter(Territory).validate_python(bad)


@given(st.text(max_size=30))
def test_a_plain_line_never_holds_a_control_or_override_character(text: str) -> None:
    try:
        line = plain_line(text)
    except ValueError:
        return
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in line)
    assert not set(line) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(alphabet="ab \u00e4\U0001f600", max_size=40))
def test_a_project_name_passes_exactly_when_3_to_30_characters_remain(name: str) -> None:
    kept = name.strip()
    if 3 <= len(kept) <= 30:
        assert ProjectCreate.model_validate({"name": name}).name == kept
    else:
        with pytest.raises(ValidationError):
            ProjectCreate.model_validate({"name": name})


@given(st.text(alphabet="0123456789٣", max_size=25))
def test_a_tiktok_id_is_17_to_20_ascii_digits(text: str) -> None:
    assert is_tiktok_video_id(text) == (17 <= len(text) <= 20 and text.isascii())


def problems(model: Any, body: dict[str, Any]) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    return {".".join(str(part) for part in error["loc"]) for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"colour": "red"}, "colour"),
        ({"status": "archived"}, "status"),
        ({"name": 7}, "name"),
        ({"name": "a\u202eb c"}, "name"),
        ({"timezone": "Nowhere"}, "timezone"),
        ({"primaryLanguage": "en_US"}, "primaryLanguage"),
        ({"brandVoice": "shouting"}, "brandVoice"),
        ({"keywords": [""]}, "keywords.0"),
        ({"keywords": ["a"] * 51}, "keywords"),
        ({"bannedWords": "free"}, "bannedWords"),
        ({"messageBank": {"en": {"jingle": ["x"]}}}, "messageBank.en.jingle.[key]"),
        ({"messageBank": {"en": {}, "EN": {}}}, "messageBank"),
        ({"metadata": {"x": "y" * METADATA_BYTES}}, "metadata"),
        ({"metadata": {"x": ["\ud800"]}}, "metadata"),
        ({"metadata": {"x": float("nan")}}, "metadata"),
        ({"tagline": "\ud800"}, "tagline"),
    ],
)
def test_a_project_body_is_strict_and_names_the_wrong_field(change: dict[str, Any], path: str) -> None:
    assert problems(ProjectCreate, {"name": "Tea house", **change}) == {path}


def test_a_project_needs_nothing_but_a_name() -> None:
    project = ProjectCreate.model_validate({"name": "  Tea house "})
    assert (project.name, project.timezone, project.primary_language) == ("Tea house", "UTC", "en")
    assert project.keywords == []


def test_a_patch_holds_what_was_sent_and_null_only_where_null_may_be() -> None:
    assert ProjectPatch.model_validate({"tagline": None}).model_dump(exclude_unset=True) == {"tagline": None}
    assert problems(ProjectPatch, {"name": None, "keywords": None}) == {"name", "keywords"}
    assert "default" not in json.dumps(ProjectPatch.model_json_schema())


GRANT = {
    "grantedBy": "Ada",
    "formats": ["video-remix"],
    "languages": ["en"],
    "territories": ["*"],
    "validFrom": "2026-01-01T00:00:00Z",
    "evidenceSha256": "0" * 64,
}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"formats": []}, "formats"),
        ({"formats": ["podcast"]}, "formats.0"),
        ({"languages": []}, "languages"),
        ({"territories": ["germany"]}, "territories.0"),
        ({"validFrom": "2026-01-01"}, "validFrom"),
        ({"validTo": "2025-12-31T00:00:00Z"}, ""),
        ({"evidenceSha256": "ABC"}, "evidenceSha256"),
        ({"note": "x"}, "note"),
    ],
)
def test_a_grant_says_what_it_covers(change: dict[str, Any], path: str) -> None:
    assert Consent.model_validate(GRANT).valid_to is None
    assert problems(Consent, {**GRANT, **change}) == {path}


def test_consent_belongs_to_persons_and_only_to_them() -> None:
    assert problems(InfluencerCreate, {"name": "Mia", "origin": "synthetic", "consent": GRANT}) == {""}
    assert problems(InfluencerCreate, {"name": "Mia", "origin": "consented_person"}) == {""}
    assert InfluencerCreate.model_validate({"name": "Mia", "origin": "synthetic"}).consent is None
    assert InfluencerCreate.model_validate({"name": "Mia", "origin": "consented_person", "consent": GRANT}).consent


def test_a_layer_body_is_strict() -> None:
    assert problems(LayerCreate, {"kind": "other", "config": {"channel": "x"}}) == {"kind", "config.channel"}
    assert problems(LayerCreate, {"config": {"influencerId": 7}}) == {"kind", "config.influencerId"}
    assert problems(LayerPatch, {"config": {"socialAccountId": "x"}}) == {"config.socialAccountId"}
    assert LayerCreate.model_validate({"kind": "social_content"}).kind == "social_content"


@pytest.mark.parametrize(
    ("given_handle", "kept"), [("@tea.house", "tea.house"), ("Tea_House", "Tea_House"), ("茶屋", "茶屋")]
)
def test_a_handle_is_kept_without_its_at(given_handle: str, kept: str) -> None:
    assert SocialAccountCreate.model_validate({"platform": "tiktok", "handle": given_handle}).handle == kept


@pytest.mark.parametrize("bad", ["", "@", "@@x", "a b", "a/b", "../x", "x" * 65, "<b>"])
def test_other_handles_are_refused(bad: str) -> None:
    assert problems(SocialAccountCreate, {"platform": "tiktok", "handle": bad}) == {"handle"}


def test_a_source_form_is_read_from_texts() -> None:
    form = SourceUpload.model_validate(
        {
            "tiktokVideoId": "7300000000000000001",
            "rightsNote": "Filmed by us.",
            "hashtags": "#study, tips  exam",
            "views": "1200",
            "publishedAt": "2026-01-01T00:00:00Z",
        }
    )
    assert form.hashtags == ["study", "tips", "exam"]
    assert (form.views, form.likes, form.rights_basis) == (1200, None, "operator_statement")
    wrong = {
        "tiktokVideoId": "12",
        "rightsNote": " ",
        "views": "-1",
        "hashtags": "a<b",
        "rightsBasis": "hope",
        "hook": "x",
    }
    assert problems(SourceUpload, wrong) == set(wrong)
