"""The operator's cookies for TikTok: stored sealed, opened only for the process that fetches.

They act with the account they belong to; the platform may close an account whose cookies are used by a server.
"""

from __future__ import annotations

import re
from typing import Final

from recaster.errors import InvalidInput
from recaster.infra.database import OrganizationSession
from recaster.infra.sealing import Sealer
from recaster.service.fetching.model import OperatorSecret

COOKIES: Final = "tiktok-cookies"
MOST_BYTES: Final = 200_000

_CONTEXT = f"operator {COOKIES}"

_COOKIE_LINE = re.compile(r"(#HttpOnly_)?\.?[\w.-]+\t(TRUE|FALSE)\t\S+\t(TRUE|FALSE)\t\d+\t[^\t]+\t.*")


def store_cookies(session: OrganizationSession, sealer: Sealer, text: str) -> int:
    """Seal a Netscape cookie file (as browsers' export tools write it) and return how many cookies of TikTok it holds.

    Raises:
        InvalidInput: it is too large, holds a line of another form, or no cookie of TikTok.
    """
    if len(text.encode()) > MOST_BYTES:
        raise InvalidInput(
            f"The cookie file holds more than {MOST_BYTES} bytes; export the cookies of tiktok.com alone.",
            field="cookies",
            limit=MOST_BYTES,
        )
    lines = [line for line in text.splitlines() if line.strip() and (not line.startswith("#") or "\t" in line)]
    strange = next((number for number, line in enumerate(lines, 1) if not _COOKIE_LINE.fullmatch(line)), None)
    if strange is not None:
        raise InvalidInput(
            f"Cookie {strange} of the file is not of Netscape's form (seven fields with tabs between).",
            field="cookies",
            value=strange,
        )
    # Other sites' cookies have no business here, in a process that only TikTok can be reached from.
    kept = [line for line in lines if "tiktok" in line.partition("\t")[0]]
    if not kept:
        raise InvalidInput("The file holds no cookie of tiktok.com.", field="cookies", value=0, limit=1)
    content = "\n".join(["# Netscape HTTP Cookie File", *kept, ""]).encode()
    row = session.get(OperatorSecret, COOKIES) or OperatorSecret(name=COOKIES)
    row.sealed, row.stored_at = sealer.seal(content, context=_CONTEXT), session.now
    session.add(row)
    session.flush()
    return len(kept)


def read_cookies(session: OrganizationSession, sealer: Sealer) -> str:
    """Return the stored cookies, an empty text where there are none.

    Raises:
        SealingError: they were sealed with another key.
    """
    row = session.get(OperatorSecret, COOKIES)
    return "" if row is None else sealer.open(row.sealed, context=_CONTEXT).decode()


def reseal_cookies(session: OrganizationSession, sealer: Sealer) -> bool:
    """Seal the stored cookies anew with the first key of the ring; return whether that changed anything."""
    row = session.get(OperatorSecret, COOKIES)
    if row is None or sealer.is_current(row.sealed):
        return False
    row.sealed = sealer.seal(sealer.open(row.sealed, context=_CONTEXT), context=_CONTEXT)
    session.flush()
    return True


def forget_cookies(session: OrganizationSession) -> bool:
    """Remove the stored cookies; return whether there were any."""
    row = session.get(OperatorSecret, COOKIES)
    if row is None:
        return False
    session.delete(row)
    return True
