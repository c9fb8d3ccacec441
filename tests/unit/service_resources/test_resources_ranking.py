from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recaster.service.recommendations.ranking import Candidate, Profile, rank
from recaster.service.recommendations.remixability import Measured, assess
from recaster.service.recommendations.vectors import SentenceModel, Vectors

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NEUTRAL = 0.2 * 0.5
"""What a video that was never analysed gets for its remixability."""


@cache
def model() -> SentenceModel:
    return SentenceModel()


def no_meaning(texts: Sequence[str], /) -> Vectors:
    """Vectors of which none is like another, so that only the counted parts of the formula are seen."""
    return np.eye(max(len(texts), 1), dtype=np.float32)[: len(texts)]


def candidate(video_id: str = "7000000000000000001", **changes: object) -> Candidate:
    values: dict[str, object] = {
        "tiktok_video_id": video_id,
        "author": None,
        "caption": None,
        "hashtags": (),
        "views": None,
        "likes": None,
        "comments": None,
        "shares": None,
        "published_at": None,
    }
    return Candidate(**{**values, **changes})  # type: ignore[arg-type]


def ordered(
    library: Sequence[Candidate], *, terms: Sequence[str] = (), keyword: str | None = None, **more: object
) -> tuple:
    profile = more.pop("profile", Profile((), tuple(terms)))
    return rank(library, profile=profile, keyword=keyword, now=NOW, vectors=more.pop("vectors", no_meaning), **more)  # type: ignore[arg-type]


def ids(scored: object) -> list[str]:
    return [item.candidate.tiktok_video_id for item in scored]  # type: ignore[attr-defined]


def test_the_formula_of_the_docstring_is_what_is_computed() -> None:
    item = candidate(
        caption="My study tips",
        views=999_999,
        likes=50_000,
        comments=5_000,
        shares=10_000,
        published_at=NOW - timedelta(days=30),
    )
    (scored,) = ordered([item], terms=["study tips"])
    rate = (50_000 + 2 * 5_000 + 3 * 10_000) / 999_999
    expected = 0.60 * 0.2 + 0.15 * (0.5 * 6 / 7 + 0.5 * rate / (rate + 0.1)) + 0.05 * 0.5 + NEUTRAL
    assert scored.score == pytest.approx(expected, abs=5e-5)
    assert scored.reasons == (
        "Speaks of what the project speaks of: study tips.",
        "Seen 999,999 times.",
        "Published 30 days ago.",
    )


def test_a_term_counts_as_whole_words_and_as_a_hashtag_without_spaces() -> None:
    found = {
        item.candidate.tiktok_video_id: item.score
        for item in ordered(
            [
                candidate("1", caption="Study-tips for exams"),
                candidate("2", hashtags=("StudyTips",)),
                candidate("3", caption="studying tipsy"),
            ],
            terms=["study tips"],
        )
    }
    assert found["1"] == found["2"] == pytest.approx(0.6 * 0.2 + NEUTRAL)
    assert found["3"] == pytest.approx(NEUTRAL)


def test_meaning_counts_across_words_and_languages() -> None:
    profile = Profile(("An app that helps students prepare for exams", "study", "students", "revision"), ())
    library = [
        candidate("1", caption="how I pass every test without cramming"),
        candidate("2", caption="cómo estudiar menos y recordar más", hashtags=("estudiantes",)),
        candidate("3", caption="my cat opens every door in this house"),
        candidate("4", caption="20 minute pasta with lemon"),
    ]
    ranked = ordered(library, profile=profile, vectors=model())
    assert set(ids(ranked)[:2]) == {"1", "2"}
    assert any("Close in meaning" in reason for reason in ranked[0].reasons)


def test_a_text_without_words_is_like_nothing() -> None:
    profile = Profile(("study",), ())
    (scored,) = ordered([candidate(caption="")], profile=profile, vectors=model())
    assert scored.score == pytest.approx(NEUTRAL)


def test_a_keyword_keeps_only_what_holds_each_of_its_words_where_the_library_is_searched() -> None:
    library = [
        candidate("1", caption="flashcards every morning"),
        candidate("2", caption="morning run"),
        candidate("3", hashtags=("morning", "flashcards")),
    ]
    assert set(ids(ordered(library, keyword="Morning FLASHCARDS"))) == {"1", "3"}
    assert set(ids(ordered(library, keyword="Morning FLASHCARDS", must_match=False))) == {"1", "2", "3"}


def test_a_keyword_without_any_word_in_it_filters_nothing() -> None:
    assert ids(ordered([candidate("1")], keyword="!?")) == ["1"]


def test_what_is_unknown_adds_nothing_and_is_said() -> None:
    (scored,) = ordered([candidate()], terms=["x"])
    assert scored.score == pytest.approx(NEUTRAL)
    assert scored.reasons == ("Nothing more is known about it than that it exists.",)


def test_views_count_against_the_creators_own_normal() -> None:
    small = [candidate(f"1{n}", author="small", views=views) for n, views in enumerate((900, 1000, 1100, 8000))]
    large = [candidate(f"2{n}", author="large", views=views) for n, views in enumerate((900_000, 10**6, 1_100_000))]
    ranked = ordered([*small, *large])
    assert ids(ranked)[0] == "13"
    assert "Seen 8,000 times, 7.6 times this creator's usual." in ranked[0].reasons


def test_a_creator_who_posts_rarely_stays_fresh_longer() -> None:
    rare = [candidate(f"1{n}", author="rare", published_at=NOW - timedelta(days=20 + 60 * n)) for n in range(4)]
    daily = [candidate(f"2{n}", author="daily", published_at=NOW - timedelta(days=20 + n)) for n in range(4)]
    ranked = ordered([*rare, *daily])
    assert ids(ranked)[0] == "10"
    assert ranked[0].score > next(item.score for item in ranked if item.candidate.tiktok_video_id == "20")


def measured(**changes: object) -> Measured:
    values: dict[str, object] = {
        "duration_ms": 15_000,
        "face_share": 0.95,
        "face_height": 220.0,
        "face_yaw": 15.0,
        "other_face_share": 0.0,
        "overlay_texts": ("wait for it", "step 1"),
        "overlay_confidence": 0.95,
    }
    return Measured(**{**values, **changes})  # type: ignore[arg-type]


def test_a_clear_face_readable_texts_and_a_short_clip_are_best() -> None:
    best = assess(measured())
    assert best.score == 1.0
    assert best.reasons == ("One person is clearly on camera.", "2 on-screen texts to adapt.")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"face_share": 0.0}, "Nobody is on camera"),
        ({"face_share": 0.3}, "on-screen text"),
        ({"face_height": 40.0}, "only 40 pixels"),
        ({"face_yaw": 55.0}, "turns aside up to 55°"),
        ({"face_wears": ("a full beard", "glasses")}, "wears a full beard and glasses"),
        ({"other_face_share": 0.4}, "Somebody else is seen in 40%"),
        ({"overlay_texts": (), "overlay_confidence": 0.0}, "no on-screen text"),
        ({"overlay_confidence": 0.5}, "on-screen text"),
        ({"overlay_texts": tuple("abcdefghijklmnop")}, "16 on-screen texts"),
        ({"duration_ms": 2_000}, "only 2.0 s"),
        ({"duration_ms": 150_000}, "long for a remix: 150 s"),
    ],
)
def test_everything_that_makes_a_remix_harder_costs_and_says_so(change: dict[str, object], reason: str) -> None:
    worse = assess(measured(**change))
    assert 0.0 <= worse.score < 1.0
    assert any(reason in said for said in worse.reasons)


def test_an_analysed_source_is_ranked_by_what_was_measured_and_its_texts_are_words_of_it() -> None:
    library = [
        candidate("1", caption="x", measured=measured(face_share=0.0)),
        candidate("2", caption="x"),
        candidate("3", caption="x", measured=measured(overlay_texts=("flash cards",))),
    ]
    assert ids(ordered(library)) == ["3", "2", "1"]
    assert ids(ordered(library, keyword="flash cards")) == ["3"]
    worn = measured(face_wears=("glasses",))
    assert Measured.from_json(worn.to_json()) == worn


def test_equal_scores_are_ordered_by_publication_then_by_id() -> None:
    old = NOW - timedelta(days=100_000)
    library = [
        candidate("3", published_at=old - timedelta(days=1)),
        candidate("9"),
        candidate("2", published_at=old),
        candidate("1"),
    ]
    assert ids(ordered(library)) == ["2", "3", "1", "9"]


def test_a_publication_in_the_future_is_as_fresh_as_one_of_today() -> None:
    (future,) = ordered([candidate(published_at=NOW + timedelta(days=9))])
    assert future.score == pytest.approx(0.05 + NEUTRAL)


counts = st.none() | st.integers(0, 10**10)
candidates = st.builds(
    candidate,
    video_id=st.integers(10**16, 10**17).map(str),
    caption=st.none() | st.text(max_size=40),
    author=st.none() | st.sampled_from("ab"),
    hashtags=st.lists(st.text(max_size=10), max_size=3).map(tuple),
    views=counts,
    likes=counts,
    comments=counts,
    shares=counts,
    published_at=st.none() | st.datetimes(datetime(2016, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)


@given(st.lists(candidates, max_size=8, unique_by=lambda item: item.tiktok_video_id), st.randoms(use_true_random=False))
def test_scores_stay_between_0_and_1_and_the_list_does_not_depend_on_the_order_given(
    library: list, random: object
) -> None:
    profile = Profile(("a", "b c"), ("a", "b c"))
    first = ordered(library, profile=profile)
    shuffled = list(library)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ordered(shuffled, profile=profile) == first
    assert all(0.0 <= item.score <= 1.0 and item.reasons for item in first)
    assert [item.score for item in first] == sorted((item.score for item in first), reverse=True)


def test_the_ranking_is_worth_more_than_newest_first_and_most_viewed() -> None:
    from bench.sources.ranking import measure

    values: dict[str, dict[str, float]] = {}
    for brand, order, value in measure(model()):
        values.setdefault(brand, {})[order] = value
    for orders in values.values():
        for ours in ("ours", "ours, analysed"):
            assert orders[ours] >= 0.85
            assert orders[ours] > max(orders["newest first"], orders["most viewed"])
