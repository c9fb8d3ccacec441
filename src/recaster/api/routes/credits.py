"""The wallet and its history."""

from __future__ import annotations

from recaster.api.call import Call
from recaster.api.paging import PageQuery, paginate
from recaster.api.routing import ANY_KEY, Routes
from recaster.service.credits import service
from recaster.service.credits.model import LedgerTransaction
from recaster.service.credits.schemas import CreditEventView, CreditsView
from recaster.service.schemas import Page

routes = Routes("credits")


@routes.get("/v1/credits", scope=ANY_KEY, answers=CreditsView, etag=True)
def get_credits(call: Call) -> CreditsView:
    """Show balance, holds and prices."""
    return service.overview(call.session, video_remix_price=call.settings.video_remix_credits)


@routes.get("/v1/credits/events", scope=ANY_KEY, answers=Page[CreditEventView])
def list_credit_events(call: Call, page: PageQuery) -> Page[CreditEventView]:
    """List what was granted, spent and given back, newest first."""
    rows, cursor = paginate(call.session, service.events_query(), LedgerTransaction, page)
    return Page[CreditEventView](items=[service.event_view(row) for row in rows], next_cursor=cursor)
