"""Measures the ranking on sixty made-up videos with hand-set relevance for two brands: nDCG@10 against two simple orders.

python -m bench.sources.ranking
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recaster.service.recommendations.ranking import Candidate, Profile, rank
from recaster.service.recommendations.remixability import Measured
from recaster.service.recommendations.vectors import SentenceModel, TextVectors

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BRANDS = ("recall", "saffron")


def load() -> dict[str, Any]:
    """Read the portfolio."""
    return tomllib.loads((Path(__file__).parent / "portfolio.toml").read_text(encoding="utf-8"))


def profile_of(brand: dict[str, Any]) -> Profile:
    """Turn a brand of the portfolio into what the ranking takes, as the service does for a project."""
    lines = (brand["app_name"], brand["description"], brand["tagline"], brand["audience"], *brand["keywords"])
    return Profile(lines, (*brand["keywords"], brand["app_name"]))


def candidate_of(item: dict[str, Any], *, with_overlay: bool) -> Candidate:
    """Turn an item into a candidate; its on-screen text is known where an analysis was made."""
    measured = Measured(8000, 0.9, 200.0, 15.0, 0.0, (item["overlay"],), 0.95) if with_overlay else None
    return Candidate(
        tiktok_video_id=item["id"], author=item["author"], caption=item["caption"], hashtags=tuple(item["hashtags"]),
        views=item["views"], likes=item["likes"], comments=item["comments"], shares=item["shares"],
        published_at=NOW - timedelta(days=item["age_days"]), measured=measured,
    )  # fmt: skip


def ndcg(order: Sequence[str], relevance: dict[str, int], depth: int = 10) -> float:
    """Return the normalised discounted cumulative gain with gains 2^r − 1 (Järvelin and Kekäläinen 2002)."""

    def gain(values: Sequence[int]) -> float:
        return sum((2**value - 1) / math.log2(position + 2) for position, value in enumerate(values[:depth]))

    return gain([relevance[video] for video in order]) / gain(sorted(relevance.values(), reverse=True))


def measure(vectors: TextVectors) -> list[tuple[str, str, float]]:
    """Return brand, order and nDCG@10 for each way to order the portfolio."""
    portfolio = load()
    items = portfolio["items"]
    rows = []
    for name in BRANDS:
        relevance = {item["id"]: item["relevance"][name] for item in items}
        profile = profile_of(portfolio["brands"][name])
        orders = {
            "newest first": [item["id"] for item in sorted(items, key=lambda item: item["age_days"])],
            "most viewed": [item["id"] for item in sorted(items, key=lambda item: -item["views"])],
        }
        for label, with_overlay in (("ours", False), ("ours, analysed", True)):
            ranked = rank(
                [candidate_of(item, with_overlay=with_overlay) for item in items],
                profile=profile, keyword=None, now=NOW, vectors=vectors,
            )  # fmt: skip
            orders[label] = [scored.candidate.tiktok_video_id for scored in ranked]
        rows += [(name, label, ndcg(order, relevance)) for label, order in orders.items()]
    return rows


def main() -> None:
    """Print the table."""
    print("| brand | order | nDCG@10 |\n| --- | --- | --- |")
    for brand, order, value in measure(SentenceModel()):
        print(f"| {brand} | {order} | {value:.3f} |")


if __name__ == "__main__":
    main()
