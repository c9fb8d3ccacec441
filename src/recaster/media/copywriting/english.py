"""English words in slots: instructions as -ing forms and back, and what can be a noun phrase.

Method: a word is a verb where `data/english.toml` says so, or where the lemmatiser leads its -ing form back to it; such a
word is taken for a verb only before one that shows it. Forms follow the spelling rules (silent e, doubled consonant,
ie → y). Where a form is not sure there is none; nothing is guessed.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

import regex
import simplemma

_DOUBLING = frozenset(
    {"begin", "forget", "commit", "admit", "regret", "prefer", "refer", "unplug", "reset", "upset", "rerun"}
)
_KEEPS_E = frozenset({"be", "dye", "see", "free", "agree", "knee", "flee", "eye"})
_NEVER_DOUBLES = "wxy"


def gerund(verb: str) -> str:
    """Return the -ing form of a base verb."""
    if verb in _KEEPS_E or not regex.search(r"[aeiouy]", verb):
        return verb + "ing"
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e"):
        return verb[:-1] + "ing"
    short = regex.fullmatch(r"[^aeiou]*(?:qu)?[aeiou][^aeiou]", verb)
    if verb in _DOUBLING or (short and verb[-1] not in _NEVER_DOUBLES):
        return verb + verb[-1] + "ing"
    return verb + "ing"


@lru_cache(maxsize=4096)
def base(form: str) -> str | None:
    """Return the base verb of an -ing form, or None where it is none."""
    known = _bases().get(form.casefold())
    if known is not None or not form.casefold().endswith("ing") or form.casefold() in _words()["no_verb_forms"]:
        return known
    lemma = simplemma.lemmatize(form.casefold(), lang="en")
    if gerund(lemma) == form.casefold():
        return lemma
    # A word that the lemmatiser does not know is still an -ing form; its base is not sure, so it stands for itself.
    return (
        form.casefold()
        if lemma == form.casefold() and len(lemma) > 6 and lemma not in _words()["no_verb_forms"]
        else None
    )


@lru_cache(maxsize=4096)
def _is_some_verb(word: str) -> bool:
    known = _words()
    if word in known["sure"] or word in known["also_nouns"]:
        return True
    return len(word) > 2 and word.isalpha() and not word.endswith(("ing", "ed")) and base(gerund(word)) == word


def instruction_to_gerund(text: str) -> str | None:
    """Turn an instruction into an -ing phrase: `freeze the herbs` → `freezing the herbs`.

    None where the first word is no verb there, or where a second verb would have to change with it.
    """
    verb, _, rest = text.partition(" ")
    if not is_instruction(text) or not _is_single(rest):
        return None
    return f"{gerund(verb.casefold())} {rest}".rstrip()


def gerund_to_instruction(text: str) -> str | None:
    """Turn an -ing phrase into an instruction: `buying coffee out` → `buy coffee out`; None where it is not sure."""
    form, _, rest = text.partition(" ")
    verb = base(form)
    if verb is None or verb == form.casefold() or not _is_single(rest):
        return None
    return f"{verb} {rest}".rstrip()


def is_instruction(text: str) -> bool:
    """Tell whether a text begins with a verb that tells one to do something, and not with a noun written alike."""
    verb, _, rest = text.casefold().partition(" ")
    known = _words()
    if verb in known["sure"]:
        return True
    if not _is_some_verb(verb):
        return False
    second = rest.split(" ")[0]
    return second in _words()["after_verb"] or second.endswith("ly")


def is_step(text: str) -> bool:
    """Tell whether an instruction begins with a verb of making, as the steps of a recipe or an exercise do."""
    return is_instruction(text) and text.casefold().partition(" ")[0] in _words()["steps"]


def _is_single(rest: str) -> bool:
    """Tell whether what follows a verb holds no second verb that stands beside the first one."""
    if regex.search(r"[,;:.!?–—]| - ", rest):
        return False
    said = rest.casefold().split(" ")
    return not any(joint in ("and", "or", "then", "but") and _is_some_verb(after) for joint, after in pairwise(said))


def is_noun_phrase(text: str) -> bool:
    """Tell whether words that begin with an article can be a noun phrase: no verb, and no second article but after a preposition."""
    said = text.casefold().split(" ")
    if set(said) & _words()["not_in_nouns"] or any(word.endswith("n't") for word in said):
        return False
    return not any(
        word in _words()["articles"] and before not in _words()["prepositions"] for before, word in pairwise(said)
    )


def is_bare_noun(text: str) -> bool:
    """Tell whether a few words without article can be a noun, with one thing after a preposition at most."""
    said = text.casefold().split(" ")
    head = said[: next((at for at, word in enumerate(said) if word in _words()["prepositions"] and at), len(said))]
    if said[0] in _words()["greetings"] or head[-1].endswith("ed") or any(word.endswith("n't") for word in said):
        return False
    if set(head) & _words()["small"] or set(said) & _words()["not_in_nouns"]:
        return False
    return not is_instruction(text) and base(said[0]) is None


def is_clause(text: str) -> bool:
    """Tell whether words are a sentence that begins with its subject."""
    said = text.casefold().split(" ")
    if said[-1] in ("if", "when", "because", "and", "but", "that"):
        return False
    if said[0] in _words()["subjects"] or "'" in said[0][1:-1]:
        return len(said) > 1 and said[0] not in ("let's", "don't", "can't")
    if said[0] in _words()["no_subjects"] or is_instruction(text) or base(said[0]) is not None:
        return False
    following = [*said[1:], ""]
    return any(_is_finite(said[at - 1], word, following[at]) for at, word in enumerate(said[:6]) if at)


def _is_finite(before: str, word: str, after: str) -> bool:
    """Tell whether a word that follows a noun or adverb is a verb with its subject before it."""
    if word in ("can", "will", "might", "must") and (after in _words()["prepositions"] or not after):
        return False
    if word in _words()["finite"] or word.endswith("n't"):
        return True
    if before in _words()["articles"] or before in _words()["prepositions"] or not word.isalpha():
        return False
    if before.endswith("s") and word in _words()["sure"]:
        return True
    if word.endswith(("s", "ing", "er", "est")) or word in _words()["small"]:
        return False
    lemma = simplemma.lemmatize(word, lang="en")
    return lemma != word and _is_some_verb(lemma)


@lru_cache(maxsize=1)
def _words() -> dict[str, frozenset[str]]:
    values = tomllib.loads(files(__package__).joinpath("data", "english.toml").read_text(encoding="utf-8"))
    return {name: frozenset(text.split()) for name, text in values.items()}


@lru_cache(maxsize=1)
def _bases() -> dict[str, str]:
    return {gerund(verb): verb for verb in sorted(_words()["sure"] | _words()["also_nouns"])}
