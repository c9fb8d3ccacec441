"""Whether a person's grant covers a use. Pure: the moment and the use are passed in."""

from __future__ import annotations

from datetime import datetime

from recaster.errors import ConsentMissing
from recaster.service.fields import language_covers
from recaster.service.influencers.schemas import Consent

VIDEO_REMIX = "video-remix"
"""The format name that a grant must hold for a remix."""


def require_grant(consent: Consent | None, *, at: datetime, format_name: str, language: str) -> None:
    """Return if the grant covers `format_name` in `language` at the moment `at`.

    Territories are kept with the grant but are not judged here: a remix names no place of publication.

    Raises:
        ConsentMissing: `details.reason` is `missing`, `revoked`, `not_yet_valid`, `expired`, `format_not_granted` or
            `language_not_granted`.
    """
    if consent is None:
        raise _missing("missing", "there is no grant. Add the person's consent to the influencer.")
    if consent.revoked_at is not None and consent.revoked_at <= at:
        raise _missing("revoked", f"the grant was revoked on {consent.revoked_at:%Y-%m-%d}. Ask for a new one.")
    if at < consent.valid_from:
        raise _missing("not_yet_valid", f"the grant begins on {consent.valid_from:%Y-%m-%d}. Wait until then.")
    if consent.valid_to is not None and at >= consent.valid_to:
        raise _missing("expired", f"the grant ended on {consent.valid_to:%Y-%m-%d}. Ask for a new one.")
    if format_name not in consent.formats:
        raise _missing("format_not_granted", f"the grant does not name the format {format_name}.")
    if not any(language_covers(granted, language) for granted in consent.languages):
        raise _missing("language_not_granted", f"the grant does not cover the language {language}.")


def _missing(reason: str, what: str) -> ConsentMissing:
    return ConsentMissing(f"The influencer is a real person, and {what}", reason=reason)
