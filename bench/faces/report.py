"""The results as Markdown: all figures, and each bar with the clips that meet it. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from cases import Case

COLUMNS = (
    "id", "id p5", "src", "margin", "first", "yaw", "pitch", "roll", "pitch offset", "mouth", "width", "corner", "eye",
    "blink", "source blink", "brow", "lag", "flicker", "flicker worst", "sharp", "edges", "seam", "forehead", "pale", "blotches", "shade", "brows", "lips",
    "rings", "painted", "wrong", "outside", "unread", "faded", "ms analysis", "ms follow", "ms swap",
)  # fmt: skip
_WHOLE = ("wrong", "outside", "lag", "ms analysis", "ms swap", "ms follow")

BARS = (
    ("identity, mean", "id", 0.55, None),
    ("identity, 5th percentile", "id p5", 0.50, None),
    ("persona minus source", "margin", 0.25, None),
    ("persona first, share of frames", "first", 0.97, None),
    ("yaw, degrees", "yaw", None, 1.2),
    ("roll, degrees", "roll", None, 1.2),
    ("pitch without its offset, degrees", "pitch", None, 1.5),
    ("pitch offset, degrees", "pitch offset", None, 2.5),
    ("mouth opening, correlation", "mouth", 0.95, None),
    ("mouth corners, correlation", "corner", 0.85, None),
    ("eye opening, correlation", "eye", 0.87, None),
    ("brows, correlation", "brow", 0.85, None),
    ("lag, frames", "lag", 0, 0),
    ("flicker", "flicker", None, 1.25),
    ("flicker, worst frame", "flicker worst", None, 2.5),
    ("sharpness on skin", "sharp", 0.75, 1.3),
    ("seam", "seam", 0.85, 1.1),
    ("forehead border", "forehead", None, 1.2),
    ("object painted over", "painted object", None, 0.05),
    ("hand painted over", "painted hand", None, 0.15),
    ("wrong person, frames", "wrong", None, 0),
    ("pixels changed outside", "outside", None, 0),
    ("CPU per frame, ms", "ms", None, 100),
)
AIMS = {
    "id": (0.65, None), "id p5": (0.58, None), "margin": (0.40, None), "first": (0.99, None), "yaw": (None, 0.6),
    "roll": (None, 0.6), "pitch": (None, 0.8), "pitch offset": (None, 1.0), "mouth": (0.98, None), "corner": (0.93, None),
    "eye": (0.93, None), "brow": (0.93, None), "flicker": (None, 1.05), "flicker worst": (None, 1.8), "sharp": (0.85, 1.2),
    "seam": (0.9, 1.05), "forehead": (None, 1.05), "painted object": (None, 0.02), "painted hand": (None, 0.05),
    "ms": (None, 50),
}  # fmt: skip

Row = tuple[Case, Mapping[str, float]]


def table(rows: Sequence[Row]) -> list[str]:
    """One line per clip with all figures."""
    lines = ["| clip | " + " | ".join(COLUMNS) + " |", "| --- |" + " --- |" * len(COLUMNS)]
    for case, values in rows:
        cells = []
        for column in COLUMNS:
            value = values.get(column, float("nan"))
            cells.append("-" if np.isnan(value) else f"{value:.0f}" if column in _WHOLE else f"{value:.2f}")
        lines.append(f"| {case.name} ({case.persona}) | " + " | ".join(cells) + " |")
    return lines


def bars(rows: Sequence[Row]) -> list[str]:
    """How many clips meet each bar and aim, and which do not meet the bar."""
    lines = ["| measure | floor | clips that meet it | reach the aim | the others |", "| --- | --- | --- | --- | --- |"]
    for title, key, least, most in BARS:
        judged = [(case, value) for case, values in rows if not np.isnan(value := _value(case, values, key))]
        missed, reached = [], 0
        for case, value in judged:
            # Small faces have a lower bar for identity, large frames more time.
            floor = 0.50 if key == "id" and case.small else least
            large = key == "ms" and case.scene is not None and case.scene.size[0] > 720
            if not _within(value, floor, 130 if large else most):
                missed.append(f"{case.name} {value:.2f}")
            low, high = AIMS.get(key, (least, most))
            reached += _within(value, low, 70 if large else high)
        bar = "–".join(str(one) for one in (least, most) if one is not None)
        sign = "" if least is not None and most is not None else "≥ " if least is not None else "≤ "
        lines.append(
            f"| {title} | {sign}{bar} | {len(judged) - len(missed)} of {len(judged)} | {reached} | {'; '.join(missed)} |"
        )
    return lines


def faults(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What each measure says of the same clip as it is and with a fault made on purpose; the fault's own measure in bold."""
    lines = ["| build | " + " | ".join(FAULT_COLUMNS) + " |", "| --- |" + " --- |" * len(FAULT_COLUMNS)]
    for name, values in rows.items():
        cells = [
            f"**{values[column]:.2f}**" if EXPECTED.get(name) == column else f"{values[column]:.2f}"
            for column in FAULT_COLUMNS
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


FAULT_COLUMNS = ("id", "seam", "forehead", "sharp", "flicker", "pale", "blotches", "shade", "brows", "lips", "rings")
EXPECTED = {
    "pale forehead": "pale",
    "blotches": "blotches",
    "dark brows": "brows",
    "pale lips": "lips",
    "rings": "rings",
    "flicker": "flicker",
    "soft skin": "sharp",
}
"""Which measure has to notice which fault."""


def _value(case: Case, values: Mapping[str, float], key: str) -> float:
    if key == "ms":
        return values["ms swap"] + values["ms follow"]
    if key.startswith("painted "):
        return values.get("painted", float("nan")) if case.occluder == key.removeprefix("painted ") else float("nan")
    return values.get(key, float("nan"))


def _within(value: float, least: float | None, most: float | None) -> bool:
    rounded = round(value, 2)
    return (least is None or rounded >= least) and (most is None or rounded <= most)
