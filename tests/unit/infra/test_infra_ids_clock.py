from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recaster.infra.clock import ManualClock, SystemClock, from_milliseconds, iso, to_milliseconds
from recaster.infra.ids import ULID_PREFIXES, UUID_PREFIXES, IdFactory, parse_id

pytestmark = pytest.mark.unit

START = datetime(2026, 1, 31, 8, 0, 0, tzinfo=UTC)


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_milliseconds_are_exact(value: int) -> None:
    assert to_milliseconds(from_milliseconds(value)) == value


def test_iso_has_milliseconds_and_z() -> None:
    assert iso(START + timedelta(milliseconds=7)) == "2026-01-31T08:00:00.007Z"


def test_the_system_clock_carries_whole_milliseconds() -> None:
    assert SystemClock().now().microsecond % 1000 == 0


@pytest.mark.parametrize("prefix", sorted(UUID_PREFIXES | ULID_PREFIXES))
def test_what_is_made_can_be_parsed(prefix: str) -> None:
    made = IdFactory(ManualClock(START)).new(prefix)
    assert parse_id(prefix, made) == made
    assert parse_id("org" if prefix != "org" else "prj", made) is None


def test_the_same_clock_and_randomness_make_the_same_ids() -> None:
    first = IdFactory(ManualClock(START), lambda n: b"\x05" * n)
    second = IdFactory(ManualClock(START), lambda n: b"\x05" * n)
    assert [first.new("job"), first.new("prj")] == [second.new("job"), second.new("prj")]


@given(st.lists(st.booleans(), max_size=30), st.binary(min_size=10, max_size=10))
def test_ulids_of_one_factory_rise(moves: list[bool], drawn: bytes) -> None:
    clock = ManualClock(START)
    ids = IdFactory(clock, lambda n: drawn[:n].ljust(n, b"\x01") if drawn < b"\xf0" else b"\x01" * n)
    made = []
    for move in moves:
        made.append(ids.new("job"))
        if move:
            clock.advance(timedelta(milliseconds=1))
    assert made == sorted(set(made))


def test_an_undeclared_prefix_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        IdFactory(ManualClock(START)).new("nobody")


@given(st.text(max_size=60))
def test_parsing_never_lets_anything_else_through(text: str) -> None:
    for prefix in ("prj", "job"):
        parsed = parse_id(prefix, text, bare=True)
        assert parsed is None or (parsed.startswith(f"{prefix}_") and parsed.isascii() and len(parsed) in {30, 40})


def test_a_bare_uuid_is_accepted_only_where_asked() -> None:
    bare = "1375C4FB-9cd1-4ea8-bff3-894d897fb192"
    assert parse_id("prj", bare, bare=True) == "prj_1375c4fb-9cd1-4ea8-bff3-894d897fb192"
    assert parse_id("prj", bare) is None
