"""A line taken apart (numbering, emoji, words, final punctuation) and put together again around other words."""

from __future__ import annotations

from dataclasses import dataclass

import emoji
import regex
import simplemma

from recaster.media.copywriting.language import function_words, list_mark

_TAIL = regex.compile(r"\s*(?:\.{2,}|…|[.!?:]+)$")


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A source line in parts. Joined, they give the line with single spaces and straight apostrophes."""

    mark: str
    """Numbering with the space after it."""
    lead: str
    """Emoji at the start with the space after them."""
    core: str
    """The words."""
    tail: str
    """Final punctuation."""
    end: str
    """Emoji at the end with the space before them."""
    lower_case: bool = False
    """Whether sentences begin without a capital around this line, so that one at its beginning belongs to the word."""

    @property
    def shouted(self) -> bool:
        """Whether the words are written in capitals."""
        letters = [letter for letter in self.core if letter.isalpha()]
        return len(letters) > 3 and all(letter.isupper() for letter in letters)

    @property
    def capital(self) -> bool:
        """Whether the words begin with a capital as a sentence does."""
        letters = [letter for letter in self.core if letter.isalpha()]
        return bool(letters) and letters[0].isupper() and not self.lower_case and not self.core.startswith("POV")

    def around(self, text: str) -> str:
        """Put other words into the line, in its letter case, with its numbering, punctuation and emoji."""
        if self.shouted:
            text = text.upper()
        elif self.capital:
            text = regex.sub(r"(?:^|[.?!] )\p{Ll}", lambda begin: begin.group().upper(), text)
        if regex.search(r"\bi\b", self.core) and not regex.search(r"\bI\b", self.core):
            text = regex.sub(r"\bI\b", "i", text)
        if self.core.startswith("pov"):
            text = regex.sub(r"^POV", "pov", text)
        own = regex.search(r"[.!?…:]$", text) is not None
        # A question mark belongs to the words that asked; it goes with them or not at all.
        asked = self.core.casefold().split(" ")[-3:]
        asks_on = len(asked) == 3 and text.casefold().split(" ")[-3:] == asked
        tail = "" if own or (self.tail.startswith("?") and not asks_on) else self.tail
        end = "" if emoji.emoji_count(text) else self.end
        lead = "" if emoji.emoji_count(text) else self.lead
        return f"{self.mark}{lead}{text}{tail}{end}"


def anatomy_of(text: str, *, lower_case: bool = False) -> Anatomy:
    """Take a line apart. Emoji between the words are moved to the end."""
    rest = " ".join(text.replace("’", "'").replace("‘", "'").split())
    mark = list_mark(rest)
    rest = rest[len(mark) :]
    found = emoji.emoji_list(rest)
    lead = end = ""
    while found and not rest[len(lead) : found[0]["match_start"]].strip():
        lead = rest[: found.pop(0)["match_end"]]
    while found and not rest[found[-1]["match_end"] : len(rest) - len(end)].strip():
        end = rest[found.pop()["match_start"] :]
    core = rest[len(lead) : len(rest) - len(end)]
    if found:
        within = "".join(one["emoji"] for one in found)
        core = " ".join(emoji.replace_emoji(core, " ").split())
        end = f" {within}{end}"
    elif end and core.endswith(" "):
        end = f" {end}"
    if lead and core.startswith(" "):
        lead = f"{lead} "
    core = core.strip()
    punctuation = _TAIL.search(core)
    tail = punctuation.group() if punctuation else ""
    return Anatomy(mark, lead, core[: len(core) - len(tail)].rstrip(), tail.strip(), end, lower_case)


def fill(wording: str, values: dict[str, str], language: str, sentence_case: bool = False) -> str:
    """Put words into the slots of a wording, with the contractions and elisions of its language at their beginning.

    What began a source sentence loses the capital that it had for that; `sentence_case` says that sentences have one.
    """

    def put(slot: regex.Match[str]) -> str:
        before, value = (
            slot.group(1) or "",
            _inside(values[slot.group(2)], language, sentence_case and slot.group(2) != "bare"),
        )
        return _joined(before, value, language) if before else value

    filled: str = regex.sub(r"(?:\b(de|que|a|à|em|por) )?\{(\w+)\}", put, wording, flags=regex.IGNORECASE)
    return filled


_CONTRACTIONS = {
    "es": {("de", "el"): "del", ("a", "el"): "al"},
    "fr": {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"},
    "pt": {
        ("de", "o"): "do", ("de", "a"): "da", ("de", "os"): "dos", ("de", "as"): "das", ("em", "o"): "no", ("em", "a"): "na",
        ("em", "os"): "nos", ("em", "as"): "nas", ("por", "o"): "pelo", ("por", "a"): "pela", ("a", "o"): "ao", ("a", "os"): "aos",
    },
}  # fmt: skip
_VOWEL = regex.compile(
    r"[aeiouyàâäéèêëîïôöùûüœ]|h(?=abit|eur|ist|omme|iver|ésit|ydrat|onn|umain|ôtel|uile|erbe)", regex.IGNORECASE
)


def _joined(before: str, value: str, language: str) -> str:
    first, _, rest = value.partition(" ")
    joint = _CONTRACTIONS.get(language, {}).get((before.casefold(), first.casefold()))
    if joint is not None and rest:
        return f"{joint} {rest}"
    if language == "fr" and before.casefold() in ("de", "que") and _VOWEL.match(value):
        return f"{before[:-1]}'{value}"
    return f"{before} {value}"


def _inside(value: str, language: str, sentence_case: bool) -> str:
    first = value.split(" ")[0]
    begun = first[:1].isupper() and (len(first) == 1 or first[1:].islower())
    if language == "de" or not begun or first == "I" or first.startswith(("I'", "I’")):
        return value
    word = first.casefold()
    common = word in function_words(language) or (
        sentence_case and language == "en" and word not in _NAMES_OF_DAYS and simplemma.is_known(word, lang="en")
    )
    return value[:1].lower() + value[1:] if common else value


_NAMES_OF_DAYS = frozenset(
    [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "christmas",
        "english",
        "spanish",
        "french",
        "german",
        "italian",
    ]
)
