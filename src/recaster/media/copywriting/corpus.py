"""The formula corpus: meanings of overlays, how they are worded in a source, and how they may be worded anew.

One TOML file per language under `data/` that a copywriter can edit. A table is one meaning: `role`, `match`
(wordings of a source line) and `write` (new wordings). Files of all languages share the table names, so that a line
matched in one language can be written in another, as long as the new wording takes no words over from the source.

Notation in `match`: `{n}` a number or number word · `{t}` a time of day · `{x}` `{y}` one to nine words · `{ing}`
one to eight words that begin with an -ing form (or have it in second place) · `{do}` an instruction beginning with
a known verb · `{name:a|b}` one of the alternatives, kept under that name · `(a|b)` one of the alternatives. Upper
and lower case, numbering, emoji and final punctuation do not matter. In `write` the same slots stand for what was
found; `{app}` is the brand's app name and `{topic}` `{activity}` `{goal}` `{habit}` `{pain}` are the brand's
vocabulary, so a wording is used only where the brand supplies the word. `weak = true` marks meanings that are used
where nothing else matches.

Nothing is chosen here; see `formulas`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import regex

from recaster.errors import InvalidInput
from recaster.media.copywriting.brand import VOCABULARY_SLOTS
from recaster.media.overlays.model import OverlayRole

CORPUS_LANGUAGES = ("en", "es", "fr", "de", "pt")
BRAND_SLOTS = frozenset({"app", *VOCABULARY_SLOTS})
_SLOT = regex.compile(r"\{(\w+)(?::([^{}]+))?\}")
_NUMBER_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|dos|tres|cuatro|cinco|seis|siete|diez|deux|trois|quatre|cinq|sept|dix"
    "|zwei|drei|vier|fünf|sechs|sieben|zehn|duas|dois|três|quatro|sete|dez"
)
_WORD = r"[^\s.!?…:;|,@#/]+"
_LOOSE = r"[^\s.!?…:;|@#/]+"


@dataclass(frozen=True, slots=True)
class Formula:
    """One meaning in one language."""

    name: str
    role: OverlayRole
    match: tuple[regex.Pattern[str], ...]
    write: tuple[str, ...]
    weak: bool


@dataclass(frozen=True, slots=True)
class Corpus:
    """All formulas of one language."""

    language: str
    formulas: tuple[Formula, ...]

    def named(self, name: str) -> Formula | None:
        """Return the formula of a meaning."""
        return next((formula for formula in self.formulas if formula.name == name), None)


def slots(text: str) -> frozenset[str]:
    """Return the names of the slots in a pattern or wording."""
    return frozenset(found[0] for found in _SLOT.findall(text))


@lru_cache(maxsize=8)
def load_corpus(language: str) -> Corpus:
    """Read the corpus of a base language; a language without one has no formulas.

    Raises:
        InvalidInput: the file is wrong; the message names the table.
    """
    if language not in CORPUS_LANGUAGES:
        return Corpus(language, ())
    values = tomllib.loads(files(__package__).joinpath("data", f"{language}.toml").read_text(encoding="utf-8"))
    tables = {name: table for name, table in values.items() if isinstance(table, dict)}
    return Corpus(language, tuple(_formula(language, name, table) for name, table in tables.items()))


def corpus_problems(corpus: Corpus) -> tuple[str, ...]:
    """Return what is wrong with a corpus, for the copywriter who edits it; nothing where it is good."""
    problems = []
    seen: dict[str, str] = {}
    for formula in corpus.formulas:
        where = f"{corpus.language}.toml [{formula.name}]"
        if not formula.write:
            problems.append(f"{where}: `write` is empty.")
        for text in formula.write:
            if text != " ".join(text.split()):
                problems.append(f"{where}: '{text}' has space at an end or in a row.")
            if text.casefold() in seen and seen[text.casefold()] == formula.name:
                problems.append(f"{where}: '{text}' stands there twice.")
            seen[text.casefold()] = formula.name
            for pattern in formula.match:
                missing = slots(text) - BRAND_SLOTS - set(pattern.groupindex)
                if missing and corpus.language == "en":
                    problems.append(f"{where}: '{text}' needs {{{', '.join(sorted(missing))}}}, which a match lacks.")
            if len(text) > 70:
                problems.append(f"{where}: '{text}' is longer than 70 characters.")
    return tuple(dict.fromkeys(problems))


def _formula(language: str, name: str, table: dict[str, Any]) -> Formula:
    unknown = set(table) - {"role", "match", "write", "weak"}
    if unknown:
        raise InvalidInput(f"{language}.toml [{name}] has the unknown field {min(unknown)}.", field=name)
    try:
        return Formula(
            name,
            OverlayRole(table["role"]),
            tuple(compile_pattern(pattern) for pattern in table.get("match", ())),
            tuple(table["write"]),
            bool(table.get("weak", False)),
        )
    except (KeyError, ValueError, regex.error) as error:
        raise InvalidInput(f"{language}.toml [{name}] is wrong: {error!r}.", field=name) from error


def compile_pattern(text: str) -> regex.Pattern[str]:
    """Turn a `match` wording into a pattern for a whole line without numbering, emoji and final punctuation."""
    parts, position = [], 0
    for slot in _SLOT.finditer(text):
        parts += [_literal(text[position : slot.start()]), _slot(slot.group(1), slot.group(2))]
        position = slot.end()
    parts.append(_literal(text[position:]))
    return regex.compile("".join(parts), regex.IGNORECASE)


def _literal(text: str) -> str:
    escaped = "".join(part if part in "(|)" else regex.escape(part) for part in regex.split(r"([(|)])", text))
    return escaped.replace("(", "(?:")


def _slot(name: str, alternatives: str | None) -> str:
    if alternatives is not None:
        return f"(?P<{name}>{alternatives})"
    if name == "n":
        return rf"(?P<n>\d+|{_NUMBER_WORDS})"
    if name == "t":
        return r"(?P<t>midnight|\d{1,2}(?::\d\d)? ?(?:am|pm))"
    if name == "ing":
        return rf"(?P<ing>(?:{_WORD} )?\p{{L}}{{2,}}ing(?: {_WORD}){{0,7}})"
    if name == "do":
        return rf"(?P<do>(?:{'|'.join(_verbs())})(?: {_LOOSE}){{0,8}})"
    return rf"(?P<{name}>{_WORD}(?: {_LOOSE}){{0,8}})"


@lru_cache(maxsize=1)
def _verbs() -> tuple[str, ...]:
    values = tomllib.loads(files(__package__).joinpath("data", "verbs.toml").read_text(encoding="utf-8"))
    return tuple(sorted(values["verbs"].split(), key=len, reverse=True))
