"""Values of an inspection: one measure against one limit, and all of them together. Nothing is measured here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Value = int | float | str | list[int] | None
"""What is measured: a number with its unit in the measure's name, or a value that is compared for equality."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured value, the limit it was held against, and the verdict: see `at_most`, `at_least`, `equal`."""

    name: str
    """Snake case, with the unit where there is one: `frame_times_seconds`."""
    value: Value
    limit: Value
    direction: Literal["at_most", "at_least", "equal"]
    passed: bool
    explanation: str
    """What was measured and what the value means, as a sentence for a person."""

    def to_json(self) -> dict[str, Any]:
        """The measure as plain JSON types."""
        return {
            "name": self.name,
            "value": self.value,
            "limit": self.limit,
            "direction": self.direction,
            "passed": self.passed,
            "explanation": self.explanation,
        }


def at_most(name: str, value: float, limit: float, explanation: str) -> Measure:
    """Measure that passes where the value does not exceed the limit; NaN fails."""
    return Measure(name, value, limit, "at_most", bool(value <= limit), explanation)


def at_least(name: str, value: float, limit: float, explanation: str) -> Measure:
    """Measure that passes where the value reaches the limit; NaN fails."""
    return Measure(name, value, limit, "at_least", bool(value >= limit), explanation)


def equal(name: str, value: Value, limit: Value, explanation: str) -> Measure:
    """Measure that passes where the value is the expected one."""
    return Measure(name, value, limit, "equal", value == limit, explanation)


@dataclass(frozen=True, slots=True)
class Inspection:
    """All measures of one output."""

    measures: tuple[Measure, ...]

    @property
    def failed(self) -> tuple[Measure, ...]:
        """The measures that did not pass, in order."""
        return tuple(measure for measure in self.measures if not measure.passed)

    @property
    def passed(self) -> bool:
        """Whether something was measured and all of it passed."""
        return bool(self.measures) and not self.failed

    def to_json(self) -> dict[str, Any]:
        """The inspection as plain JSON types."""
        return {"passed": self.passed, "measures": [measure.to_json() for measure in self.measures]}
