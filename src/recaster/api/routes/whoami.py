"""Who the key belongs to and what it may do."""

from __future__ import annotations

from recaster.api.call import Call
from recaster.api.routing import ANY_KEY, Routes
from recaster.service.credits.service import overview
from recaster.service.schemas import View

routes = Routes("account")


class WhoamiView(View):
    """The key as its holder sees it."""

    organization_id: str
    organization_name: str
    scopes: list[str]
    rate_limit_tier: str
    api_key_id: str
    credit_balance: int


@routes.get("/v1/whoami", scope=ANY_KEY, answers=WhoamiView)
def whoami(call: Call) -> WhoamiView:
    """Show the organization, scopes and balance behind the API key."""
    credits = overview(call.session, video_remix_price=call.settings.video_remix_credits)
    return WhoamiView(
        organization_id=call.principal.organization_id, organization_name=call.principal.organization_name,
        scopes=sorted(call.principal.scopes), rate_limit_tier=call.principal.tier, api_key_id=call.principal.api_key_id,
        credit_balance=credits.balance,
    )  # fmt: skip
