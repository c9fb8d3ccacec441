"""The claim guard: numbers, prices, superlatives, comparisons, health and money promises that nobody has approved.

Approved is what stands in the source line or in one of the brand's approved facts, and a text that the brand itself
wrote into its message bank, as a whole. A word of the bank is not approved in another sentence. The phrases stand in
`data/claims.toml`; they are many and not all: a person stays responsible for what is published.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import regex

from recaster.media.copywriting.brand import BrandProfile, base_language
from recaster.media.copywriting.language import list_mark, words

_NUMBER = regex.compile(r"\p{N}+(?:[.,:]\p{N}+)*")
_SIGN = regex.compile(r"[$€£¥%‰]")


@dataclass(frozen=True, slots=True)
class _Phrases:
    numbers: dict[str, int]
    phrases: tuple[regex.Pattern[str], ...]


def claims(text: str, source: str, brand: BrandProfile, language: str) -> tuple[str, ...]:
    """Return the claims of `text` that stand neither in `source` nor in an approved fact, as they are written.

    `language` is the base language of `text`; of a language without a list only digits, currency and percent signs are
    known.
    """
    if is_from_bank(text, source, brand, language):
        return ()
    known = _phrases(language)
    approved = " ".join((source, *brand.approved_facts)).casefold().replace("’", "'")
    body = text[len(list_mark(text)) :].casefold().replace("’", "'")
    allowed = numbers(approved, language)
    found = [written for written, value in _written_numbers(body, known) if value not in allowed]
    found += [sign for sign in _SIGN.findall(body) if sign not in approved]
    for pattern in known.phrases:
        claim = pattern.search(body)
        if claim and not pattern.search(approved):
            found.append(claim.group())
    return tuple(dict.fromkeys(found))


def numbers(text: str, language: str) -> frozenset[str]:
    """Return the numbers of a text as digits, those written as words of any known language included."""
    found = set(_NUMBER.findall(text))
    for tag in dict.fromkeys((language, *_languages())):
        found |= {value for _, value in _written_numbers(text.casefold(), _phrases(tag))}
    return frozenset(found)


def is_from_bank(text: str, source: str, brand: BrandProfile, language: str) -> bool:
    """Tell whether the brand itself wrote the text; `{n}` stands for a number that the brand leaves open."""
    plain = words(text)
    return any(
        plain == words(entry.replace("{n}", ""))
        and set(_NUMBER.findall(text)) - set(_NUMBER.findall(source))
        <= {*_NUMBER.findall(entry), _counted(entry, text)}
        for tag, roles in brand.message_bank.items()
        if base_language(tag) == base_language(language)
        for entries in roles.values()
        for entry in entries
    )


def _counted(entry: str, text: str) -> str:
    found = _NUMBER.findall(text)
    return found[0] if "{n}" in entry and found else ""


def _written_numbers(text: str, known: _Phrases) -> list[tuple[str, str]]:
    found = [(number, number) for number in _NUMBER.findall(text)]
    return found + [(word, str(known.numbers[word])) for word in words(text) if word in known.numbers]


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(__package__).joinpath("data", "claims.toml").read_text(encoding="utf-8"))


def _languages() -> tuple[str, ...]:
    return tuple(_tables())


@lru_cache(maxsize=16)
def _phrases(language: str) -> _Phrases:
    table = _tables().get(language, {"numbers": {}, "phrases": []})
    patterns = [
        regex.compile(rf"(?<![\p{{L}}\p{{N}}])(?:{phrase})(?![\p{{L}}])", regex.IGNORECASE)
        for phrase in table["phrases"]
    ]
    return _Phrases(dict(table["numbers"]), tuple(patterns))
