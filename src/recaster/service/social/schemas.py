"""Wire shapes of social accounts."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from recaster.service.schemas import RequestBody, UtcTime, View
from recaster.service.social.model import SocialAccount

Platform = Literal["tiktok", "instagram", "youtube", "facebook", "snapchat", "threads", "x", "pinterest", "linkedin"]
"""Where the account lives."""

_HANDLE = re.compile(r"\w[\w.·-]{0,63}")


def handle(value: str) -> str:
    """Return an account name without its leading @, or raise `ValueError`."""
    bare = value.strip().removeprefix("@")
    if not _HANDLE.fullmatch(bare):
        raise ValueError("is no account name: use 1–64 letters, digits, dots, hyphens, underscores, with or without @")
    return bare


class SocialAccountCreate(RequestBody):
    """An account to connect."""

    platform: Platform
    handle: Annotated[str, AfterValidator(handle)]


class SocialAccountView(View):
    """A connected account, and the distribution layer that came with it."""

    id: str
    project_id: str
    platform: Platform
    handle: str
    status: Literal["connected"]
    distribution_layer_id: str | None
    created_at: UtcTime

    @classmethod
    def of(cls, account: SocialAccount, distribution_layer_id: str | None) -> SocialAccountView:
        """Show a row with the id of its distribution layer."""
        values = {name: getattr(account, name) for name in cls.model_fields if name != "distribution_layer_id"}
        return cls(**values, distribution_layer_id=distribution_layer_id)
