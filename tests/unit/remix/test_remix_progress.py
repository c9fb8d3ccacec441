"""Progress over several pieces of work: it never falls, and ends at its total."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recaster.remix.progress import Portions

pytestmark = pytest.mark.unit


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 20)), min_size=1, max_size=6))
def test_it_never_falls_and_ends_at_its_total(pieces: list[tuple[int, int]]) -> None:
    seen: list[tuple[int, int]] = []
    portions = Portions(lambda done, total: seen.append((done, total)), tuple(weight for weight, _ in pieces))
    for _, steps in pieces:
        report = portions.next()
        for step in range(steps):
            report(step + 1, steps)
    total = sum(weight for weight, _ in pieces)
    assert {of for _, of in seen} == {total}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    if pieces[-1][1]:
        assert seen[-1][0] == total
