from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recaster.service.recommendations.ranking import Candidate, rank

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


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
    (scored,) = rank([item], terms=["study tips"], keyword=None, now=NOW)
    rate = (50_000 + 2 * 5_000 + 3 * 10_000) / 999_999
    expected = 0.45 * 0.5 + 0.35 * (0.5 * 6 / 7 + 0.5 * rate / (rate + 0.1)) + 0.20 * 0.5
    assert scored.score == pytest.approx(expected, abs=5e-5)
    assert scored.reasons == (
        "Speaks of what the project speaks of: study tips.",
        "Seen 999,999 times.",
        "Published 30 days ago.",
    )


def test_a_term_counts_as_whole_words_and_as_a_hashtag_without_spaces() -> None:
    found = {
        item.candidate.tiktok_video_id: item.score
        for item in rank(
            [
                candidate("1", caption="Study-tips for exams"),
                candidate("2", hashtags=("StudyTips",)),
                candidate("3", caption="studying tipsy"),
            ],
            terms=["study tips"],
            keyword=None,
            now=NOW,
        )
    }
    assert found["1"] == found["2"] == pytest.approx(0.225)
    assert found["3"] == 0.0


def test_a_keyword_keeps_only_what_holds_each_of_its_words() -> None:
    library = [
        candidate("1", caption="flashcards every morning"),
        candidate("2", caption="morning run"),
        candidate("3", hashtags=("morning", "flashcards")),
    ]
    assert set(ids(rank(library, terms=[], keyword="Morning FLASHCARDS", now=NOW))) == {"1", "3"}


def test_a_keyword_without_any_word_in_it_filters_nothing() -> None:
    assert ids(rank([candidate("1")], terms=[], keyword="!?", now=NOW)) == ["1"]


def test_what_is_unknown_adds_nothing_and_is_said() -> None:
    (scored,) = rank([candidate()], terms=["x"], keyword=None, now=NOW)
    assert scored.score == 0.0
    assert scored.reasons == ("In the project's library; nothing more is known about it.",)


def test_equal_scores_are_ordered_by_publication_then_by_id() -> None:
    old = NOW - timedelta(days=100_000)
    library = [
        candidate("3", published_at=old - timedelta(days=1)),
        candidate("9"),
        candidate("2", published_at=old),
        candidate("1"),
    ]
    assert ids(rank(library, terms=[], keyword=None, now=NOW)) == ["2", "3", "1", "9"]


def test_a_publication_in_the_future_is_as_fresh_as_one_of_today() -> None:
    (future,) = rank([candidate(published_at=NOW + timedelta(days=9))], terms=[], keyword=None, now=NOW)
    assert future.score == pytest.approx(0.2)


counts = st.none() | st.integers(0, 10**10)
candidates = st.builds(
    candidate,
    video_id=st.integers(10**16, 10**17).map(str),
    caption=st.none() | st.text(max_size=40),
    author=st.none() | st.text(max_size=10),
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
    first = rank(library, terms=["a", "b c"], keyword=None, now=NOW)
    shuffled = list(library)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rank(shuffled, terms=["a", "b c"], keyword=None, now=NOW) == first
    assert all(0.0 <= item.score <= 1.0 and item.reasons for item in first)
    assert [item.score for item in first] == sorted((item.score for item in first), reverse=True)
