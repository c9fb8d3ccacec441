"""The brand profile: who speaks, to whom, in which voice, and what may and may not be said.

It comes from a `brand.toml` or from a project record in its wire names. It writes no text.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from recaster.errors import InvalidInput
from recaster.media.overlays.model import OverlayRole

Voice = Literal["authentic", "witty", "professional", "warm", "casual", "educational"]
VOICES: tuple[str, ...] = get_args(Voice)
Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]

Slot = Literal["topic", "activity", "goal", "habit", "pain"]
VOCABULARY_SLOTS: Mapping[str, str] = {
    "topic": "what it is about, a noun phrase without article: `meal planning`",
    "activity": "what the audience does, an -ing form, elsewhere an infinitive: `cooking for one`, `cocinar para uno`",
    "goal": "what they want, an infinitive without `to`: `eat well on weeknights`",
    "habit": "what they should do, an imperative: `plan on Sunday`",
    "pain": "what annoys them, an -ing form, elsewhere an infinitive: `throwing food away`",
}
"""Words that only the brand knows, in the grammatical form that the formulas need. They are supplied, never guessed."""
BANK_ROLES = (
    OverlayRole.HOOK, OverlayRole.SETUP, OverlayRole.LIST_ITEM, OverlayRole.PUNCHLINE, OverlayRole.SUSPENSE,
    OverlayRole.CALL_TO_ACTION, OverlayRole.TEXT,
)  # fmt: skip
"""Roles for which a message bank may hold texts; the others are never rewritten as the brand's own."""


class BrandProfile(BaseModel):
    """What an adapter may know about a brand and its influencer. Fields are the project's, in snake case."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)

    name: Term
    app_name: Term | None = None
    app_description: Annotated[str, StringConstraints(max_length=2000)] | None = None
    tagline: Annotated[str, StringConstraints(max_length=300)] | None = None
    brand_voice: Voice | None = None
    audience: Annotated[str, StringConstraints(max_length=500)] | None = None
    primary_language: str = Field(default="en", pattern=r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$")
    keywords: tuple[Term, ...] = ()
    banned_words: tuple[Term, ...] = ()
    required_terms: tuple[Term, ...] = ()
    approved_facts: tuple[Sentence, ...] = ()
    message_bank: dict[str, dict[OverlayRole, tuple[Sentence, ...]]] = Field(default_factory=dict)
    """Language → role → finished texts. `{n}` becomes the number of list items; the n-th punchline answers the n-th set-up."""
    vocabulary: dict[str, dict[Slot, tuple[Term, ...]]] = Field(default_factory=dict)
    """Language → slot → words; see `VOCABULARY_SLOTS`."""

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read a `brand.toml`; fields are written in snake case.

        Raises:
            InvalidInput: the file is missing, is not TOML, a field is wrong, or the profile contradicts itself; the
                message names every place and what to write there.
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
        profile = cls._checked(values, str(path))
        problems = profile.contradictions()
        if problems:
            raise InvalidInput(
                f"The brand profile in {path} contradicts itself. {' '.join(problems)}",
                field="brand",
                problems=problems,
            )
        return profile

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
            found = error.errors()
            problems = [_explained(dict(problem)) for problem in found]
            field = ".".join(str(part) for part in found[0]["loc"])
            raise InvalidInput(
                f"The brand profile in {origin} is wrong. {' '.join(problems)} Correct it and try again.",
                field=field,
                value=str(found[0].get("input"))[:120],
                limit=found[0]["msg"],
                problems=problems,
            ) from error

    def contradictions(self) -> tuple[str, ...]:
        """Return where the profile asks for what it forbids, or holds texts that can never be used."""
        problems = []
        banned = {term.casefold() for term in self.banned_words}
        for term in self.required_terms:
            if term.casefold() in banned:
                problems.append(f"'{term}' is both a required term and a banned word; take it out of one of the two.")
        for language, roles in self.message_bank.items():
            if not _TAG.fullmatch(language):
                problems.append(f"`message_bank.{language}` is no language such as en, de or pt-BR.")
            for role, texts in roles.items():
                where = f"`message_bank.{language}.{role.value}`"
                if role not in BANK_ROLES:
                    problems.append(f"{where} is never used: such lines belong to the source. Take it out.")
                for text in texts:
                    hit = next((term for term in banned if _stands_in(term, text)), None)
                    if hit is not None:
                        problems.append(f"{where} holds '{text}', but '{hit}' is a banned word.")
                    strange = _PLACEHOLDER.search(text.replace("{n}", ""))
                    if strange:
                        problems.append(
                            f"{where} holds '{text}': the only place-holder is {{n}}, not {strange.group()}."
                        )
        return tuple(problems)

    def bank(self, language: str, role: OverlayRole) -> tuple[str, ...]:
        """Return the finished texts for a role: those of the exact language tag, then those of its base language."""
        return tuple(dict.fromkeys(text for part in _for(self.message_bank, language) for text in part.get(role, ())))

    def slot_words(self, language: str, slot: Slot) -> tuple[str, ...]:
        """Return the brand's words for a slot, exact language tag first."""
        return tuple(dict.fromkeys(text for part in _for(self.vocabulary, language) for text in part.get(slot, ())))


_TAG = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*")
_PLACEHOLDER = re.compile(r"\{[^}]*\}?")
_T = TypeVar("_T")


def _for(by_language: Mapping[str, _T], language: str) -> list[_T]:
    known = {tag.casefold(): value for tag, value in by_language.items()}
    tags = dict.fromkeys((language.casefold(), base_language(language)))
    return [known[tag] for tag in tags if tag in known]


def _stands_in(term: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(term.casefold())}(?!\w)", text.casefold()) is not None


def _explained(problem: dict[str, Any]) -> str:
    """Say in plain words what is wrong at one place of a profile."""
    path = [str(part) for part in problem["loc"] if part != "[key]"]
    field, given, kind = ".".join(path), problem.get("input"), problem["type"]
    fields = sorted(BrandProfile.model_fields)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(path[0], fields, 1)
        hint = f" Did you mean `{near[0]}`?" if near else f" The fields are {', '.join(fields)}."
        return f"There is no field `{field}`.{hint}"
    if kind == "missing":
        return f"`{field}` is missing."
    if kind in ("literal_error", "enum"):
        choices = {"brand_voice": VOICES, "brandVoice": VOICES, "vocabulary": tuple(VOCABULARY_SLOTS)}
        known = choices.get(path[0], tuple(role.value for role in BANK_ROLES))
        near = difflib.get_close_matches(str(given), known, 1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        return f"`{field}`: there is no '{given}'; write one of {', '.join(known)}.{hint}"
    if kind == "string_too_long":
        return f"`{field}` is {len(str(given))} characters long; {problem['ctx']['max_length']} is the most."
    if kind == "string_too_short":
        return f"`{field}` is empty; write a text or take it out."
    if kind in ("tuple_type", "list_type"):
        return f'`{field}` must be a list of texts: ["one", "two"].'
    if kind in ("dict_type", "model_type"):
        return f"`{field}` must be a table, for example [{path[0]}.en]."
    if kind == "string_type":
        return f"`{field}` must be a text in quotation marks."
    if kind == "string_pattern_mismatch":
        return f"`{field}`: '{given}' is no language such as en, de or pt-BR."
    return f"`{field}`: {problem['msg']}."


def base_language(tag: str) -> str:
    """Return the language part of a BCP 47 tag: `pt-BR` → `pt`."""
    return tag.split("-")[0].lower()
