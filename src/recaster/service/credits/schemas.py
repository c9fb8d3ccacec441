"""Wire shapes of credits (contract section 6)."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from recaster.service.schemas import UtcTime, View


class CreditsPerFormat(View):
    """Price list."""

    # The contract names formats in snake case here.
    model_config = ConfigDict(alias_generator=None)

    video_remix: int


class CreditsView(View):
    """The wallet as its owner sees it."""

    organization_id: str
    balance: int
    available: int
    included_remaining: int
    prepaid_balance: int
    reserved_credits: int
    included_this_period: int
    used_this_period: int
    current_period: str
    estimated_credits_per_format: CreditsPerFormat


class CreditEventView(View):
    """One line of the wallet's history. `credits` is signed: spent credits are negative."""

    id: str
    type: Literal["usage", "refund", "grant", "purchase", "adjustment"]
    credits: int
    job_id: str | None
    note: str | None
    created_at: UtcTime
