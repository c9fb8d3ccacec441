"""The brand profile: who speaks, to whom, in which voice, and what may and may not be said.

It comes from a `brand.toml` or from a project record in its wire names. It writes no text.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from recaster.errors import InvalidInput
from recaster.media.overlays.model import OverlayRole

Voice = Literal["authentic", "witty", "professional", "warm", "casual", "educational"]
Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]

VOCABULARY_SLOTS: Mapping[str, str] = {
    "topic": "what it is about, a noun phrase without article: `meal planning`",
    "activity": "what the audience does, an -ing form: `cooking for one`",
    "goal": "what they want, an infinitive without `to`: `eat well on weeknights`",
    "habit": "what they should do, an imperative: `plan on Sunday`",
    "pain": "what annoys them, an -ing form: `throwing food away`",
}
"""Words that only the brand knows, in the grammatical form that the formulas need. They are supplied, never guessed."""


class BrandProfile(BaseModel):
    """What an adapter may know about a brand. Fields are the project's, in snake case."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)

    name: Term
    app_name: Term | None = None
    app_description: str | None = Field(default=None, max_length=2000)
    tagline: str | None = Field(default=None, max_length=300)
    brand_voice: Voice | None = None
    audience: str | None = Field(default=None, max_length=500)
    primary_language: str = Field(default="en", pattern=r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$")
    keywords: tuple[Term, ...] = ()
    banned_words: tuple[Term, ...] = ()
    required_terms: tuple[Term, ...] = ()
    approved_facts: tuple[Sentence, ...] = ()
    message_bank: dict[str, dict[OverlayRole, tuple[Sentence, ...]]] = Field(default_factory=dict)
    """Language → role → finished texts."""
    vocabulary: dict[Literal["topic", "activity", "goal", "habit", "pain"], tuple[Term, ...]] = Field(
        default_factory=dict
    )
    """Slot words in the profile's own language; see `VOCABULARY_SLOTS`."""

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read a `brand.toml`; fields are written in snake case.

        Raises:
            InvalidInput: the file is missing, is not TOML, or a field is wrong; the message names it.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InvalidInput(
                f"There is no file {path}. Write one after examples/brand.toml.", field="brand", value=str(path)
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"{path} is not a TOML file: {error}. Texts stand in quotation marks, lists in square brackets.",
                field="brand",
                value=str(path),
            ) from error
        return cls._checked(values, str(path))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read a project record in its wire names (camel case); absent values may be None.

        Raises:
            InvalidInput: a field is wrong; the message names it.
        """
        return cls._checked({key: value for key, value in record.items() if value is not None}, "the project")

    @classmethod
    def _checked(cls, values: Mapping[str, Any], origin: str) -> Self:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            hint = (
                f"There is no such field; the fields are {', '.join(sorted(cls.model_fields))}."
                if first["type"] == "extra_forbidden"
                else f"{first['msg']}."
            )
            raise InvalidInput(
                f"The brand profile in {origin} is wrong at `{field}`: {hint} Correct it and try again.",
                field=field,
                value=str(first.get("input"))[:120],
                limit=first["msg"],
            ) from error

    def bank(self, language: str, role: OverlayRole) -> tuple[str, ...]:
        """Return the finished texts for a role: those of the exact language tag, then those of its base language."""
        texts: list[str] = []
        for tag in dict.fromkeys((language, base_language(language))):
            texts += self.message_bank.get(tag, {}).get(role, ())
        return tuple(dict.fromkeys(texts))


def base_language(tag: str) -> str:
    """Return the language part of a BCP 47 tag: `pt-BR` → `pt`."""
    return tag.split("-")[0].lower()
