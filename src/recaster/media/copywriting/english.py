"""English words in slots: instructions as -ing forms and back, and what can be a noun phrase.

Method: a word is a verb where `data/verbs.toml` says so, or where the lemmatiser leads its -ing form back to it; such a
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
# After these words a verb that may also be a noun is a verb.
_AFTER_VERB = frozenset(
    [
        "the",
        "a",
        "an",
        "your",
        "my",
        "our",
        "his",
        "her",
        "their",
        "its",
        "it",
        "them",
        "this",
        "that",
        "these",
        "those",
        "every",
        "each",
        "all",
        "some",
        "any",
        "more",
        "less",
        "fewer",
        "most",
        "no",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "yourself",
        "yourselves",
        "myself",
        "me",
        "us",
        "him",
        "what",
        "who",
        "how",
        "where",
        "when",
        "if",
        "up",
        "out",
        "off",
        "in",
        "on",
        "at",
        "with",
        "for",
        "to",
        "down",
        "away",
        "around",
        "back",
        "before",
        "after",
        "by",
        "like",
        "from",
        "into",
        "over",
        "through",
        "without",
        "as",
        "about",
        "once",
        "twice",
        "first",
        "slowly",
        "early",
        "often",
        "daily",
        "never",
        "always",
        "only",
        "just",
        "well",
        "better",
        "properly",
        "together",
        "again",
    ]
)


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
    if known is not None or not form.casefold().endswith("ing") or form.casefold() in _NO_VERB_FORMS:
        return known
    lemma = simplemma.lemmatize(form.casefold(), lang="en")
    if gerund(lemma) == form.casefold():
        return lemma
    # A word that the lemmatiser does not know is still an -ing form; its base is not sure, so it stands for itself.
    return form.casefold() if lemma == form.casefold() and len(lemma) > 6 and lemma not in _NO_VERB_FORMS else None


@lru_cache(maxsize=4096)
def _is_some_verb(word: str) -> bool:
    known = _verbs()
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
    known = _verbs()
    if verb in known["sure"]:
        return True
    if not _is_some_verb(verb):
        return False
    second = rest.split(" ")[0]
    return second in _AFTER_VERB or second.endswith("ly")


def is_step(text: str) -> bool:
    """Tell whether an instruction begins with a verb of making, as the steps of a recipe or an exercise do."""
    return is_instruction(text) and text.casefold().partition(" ")[0] in _verbs()["steps"]


def _is_single(rest: str) -> bool:
    """Tell whether what follows a verb holds no second verb that stands beside the first one."""
    if regex.search(r"[,;:.!?–—]| - ", rest):
        return False
    said = rest.casefold().split(" ")
    return not any(joint in ("and", "or", "then", "but") and _is_some_verb(after) for joint, after in pairwise(said))


def is_noun_phrase(text: str) -> bool:
    """Tell whether words that begin with an article can be a noun phrase: no verb, and no second article but after a preposition."""
    said = text.casefold().split(" ")
    if set(said) & _NOT_IN_NOUNS or any(word.endswith("n't") for word in said):
        return False
    return not any(word in _ARTICLES and before not in _PREPOSITIONS for before, word in pairwise(said))


def is_bare_noun(text: str) -> bool:
    """Tell whether a few words without article can be a noun, with one thing after a preposition at most."""
    said = text.casefold().split(" ")
    head = said[: next((at for at, word in enumerate(said) if word in _PREPOSITIONS and at), len(said))]
    if said[0] in _GREETINGS or head[-1].endswith("ed") or any(word.endswith("n't") for word in said):
        return False
    if set(head) & _SMALL or set(said) & _NOT_IN_NOUNS:
        return False
    return not is_instruction(text) and base(said[0]) is None


def is_clause(text: str) -> bool:
    """Tell whether words are a sentence that begins with its subject."""
    said = text.casefold().split(" ")
    if said[-1] in ("if", "when", "because", "and", "but", "that"):
        return False
    if said[0] in _SUBJECTS or "'" in said[0][1:-1]:
        return len(said) > 1 and said[0] not in ("let's", "don't", "can't")
    if said[0] in _NO_SUBJECTS or is_instruction(text) or base(said[0]) is not None:
        return False
    following = [*said[1:], ""]
    return any(_is_finite(said[at - 1], word, following[at]) for at, word in enumerate(said[:6]) if at)


def _is_finite(before: str, word: str, after: str) -> bool:
    """Tell whether a word that follows a noun or adverb is a verb with its subject before it."""
    if word in ("can", "will", "might", "must") and (after in _PREPOSITIONS or not after):
        return False
    if word in _FINITE or word.endswith("n't"):
        return True
    if before in _ARTICLES or before in _PREPOSITIONS or not word.isalpha():
        return False
    if before.endswith("s") and word in _verbs()["sure"]:
        return True
    if word.endswith(("s", "ing", "er", "est")) or word in _SMALL:
        return False
    lemma = simplemma.lemmatize(word, lang="en")
    return lemma != word and _is_some_verb(lemma)


_GREETINGS = frozenset(["thanks", "thank", "please", "sorry", "hello", "yes", "okay", "congrats", "good"])
_SUBJECTS = frozenset(
    [
        "i",
        "we",
        "you",
        "he",
        "she",
        "it",
        "they",
        "this",
        "that",
        "there",
        "everyone",
        "everybody",
        "nobody",
        "someone",
        "something",
        "everything",
        "nothing",
        "anyone",
    ]
)
_NO_SUBJECTS = frozenset(
    [
        "and",
        "but",
        "or",
        "so",
        "even",
        "especially",
        "just",
        "suddenly",
        "somehow",
        "not",
        "no",
        "never",
        "if",
        "when",
        "while",
        "because",
        "like",
        "then",
        "me",
    ]
)
_FINITE = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "had",
        "do",
        "does",
        "did",
        "will",
        "would",
        "can",
        "could",
        "should",
        "must",
        "may",
        "might",
        "needs",
        "wants",
        "makes",
        "gets",
        "goes",
        "likes",
        "loves",
        "hates",
        "looks",
        "feels",
        "takes",
        "comes",
        "says",
        "knows",
        "works",
        "helps",
        "means",
        "keeps",
        "gives",
        "changes",
        "tastes",
        "smells",
        "lies",
        "hits",
        "starts",
        "stops",
        "beats",
        "adds",
        "remembers",
        "calls",
        "texts",
        "eats",
        "sleeps",
        "runs",
        "wins",
        "costs",
        "never",
        "always",
    ]
)
_SMALL = frozenset(
    [
        "the",
        "and",
        "you",
        "your",
        "you're",
        "for",
        "this",
        "with",
        "when",
        "that",
        "it's",
        "don't",
        "i'm",
        "i",
        "my",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "what",
        "how",
        "who",
        "why",
        "to",
        "of",
        "they",
        "them",
        "it",
        "its",
        "before",
        "after",
        "about",
        "until",
        "every",
        "from",
        "have",
        "has",
        "had",
        "not",
        "but",
        "just",
        "me",
        "we",
        "our",
        "at",
        "on",
        "in",
        "an",
        "a",
        "all",
        "can",
        "will",
        "would",
        "should",
        "if",
        "so",
        "too",
        "very",
        "than",
        "then",
        "there",
        "here",
        "these",
        "those",
        "nobody",
        "someone",
        "something",
        "without",
        "while",
        "because",
        "never",
        "always",
        "still",
        "really",
        "and",
        "or",
        "no",
    ]
)
_ARTICLES = frozenset(["a", "an", "the", "my", "your", "our", "his", "her", "their"])
_PREPOSITIONS = frozenset(
    [
        "of",
        "for",
        "in",
        "on",
        "with",
        "at",
        "from",
        "to",
        "under",
        "after",
        "before",
        "without",
        "inside",
        "over",
        "by",
        "into",
        "near",
        "between",
        "like",
        "and",
        "plus",
    ]
)
_NOT_IN_NOUNS = frozenset(
    [
        "every",
        "tonight",
        "today",
        "when",
        "while",
        "until",
        "if",
        "because",
        "again",
        "now",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "that",
        "who",
        "which",
        "where",
        "i",
        "you",
        "we",
        "he",
        "she",
        "they",
        "it",
        "him",
        "me",
        "us",
        "them",
        "will",
        "would",
        "can",
        "could",
        "should",
        "may",
        "might",
        "must",
        "has",
        "have",
        "had",
        "do",
        "does",
        "did",
        "get",
        "gets",
        "got",
        "goes",
        "went",
        "likes",
        "needs",
        "wants",
        "makes",
        "stopped",
        "started",
        "never",
        "always",
        "still",
        "don't",
    ]
)
_NO_VERB_FORMS = frozenset(
    [
        "thing",
        "things",
        "anything",
        "everything",
        "nothing",
        "something",
        "morning",
        "evening",
        "king",
        "ring",
        "string",
        "spring",
        "wing",
        "swing",
        "sibling",
        "ceiling",
        "wedding",
        "interesting",
        "amazing",
        "boring",
        "charming",
        "during",
        "darling",
        "sterling",
        "pudding",
        "earring",
        "clothing",
    ]
)


@lru_cache(maxsize=1)
def _verbs() -> dict[str, frozenset[str]]:
    values = tomllib.loads(files(__package__).joinpath("data", "verbs.toml").read_text(encoding="utf-8"))
    return {name: frozenset(values[name].split()) for name in ("sure", "also_nouns", "steps")}


@lru_cache(maxsize=1)
def _bases() -> dict[str, str]:
    return {gerund(verb): verb for verb in sorted(_verbs()["sure"] | _verbs()["also_nouns"])}
