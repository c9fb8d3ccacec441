"""How alike two texts are for the question whether one is still, or now, readable. It reads no pictures."""

from __future__ import annotations

import unicodedata

import emoji
from rapidfuzz.distance import Levenshtein


def squeezed(text: str) -> str:
    """Text as it is compared: NFKC, case folded, without emoji, white space and invisible characters.

    Readers leave out spaces, mix up the case of letters that look alike, and do not read emoji; none of that makes a
    line another one.
    """
    plain = unicodedata.normalize("NFKC", emoji.replace_emoji(text, "")).casefold()
    invisible = ("Cf", "Cc")
    return "".join(sign for sign in plain if not sign.isspace() and unicodedata.category(sign) not in invisible)


def text_similarity(one: str, other: str) -> float:
    """1 minus the Levenshtein distance of the squeezed texts over the longer one's length: 0 = foreign, 1 = equal.

    Two texts of which nothing is left after squeezing are equal.
    """
    return float(Levenshtein.normalized_similarity(squeezed(one), squeezed(other)))
