"""Social accounts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from recaster.api.call import Call
from recaster.api.paging import PageQuery, paginate
from recaster.api.routes.projects import ProjectId
from recaster.api.routing import Routes
from recaster.service.errors import Conflict, NotFound
from recaster.service.projects.service import require_project
from recaster.service.schemas import Page
from recaster.service.social import service
from recaster.service.social.model import SocialAccount
from recaster.service.social.schemas import SocialAccountCreate, SocialAccountView

routes = Routes("social accounts")

_PATH = "/v1/projects/{projectId}/social-accounts"


@routes.post(
    _PATH,
    scope="social:write",
    status=201,
    answers=SocialAccountView,
    errors=(NotFound, Conflict),
    audit="social_account.connected",
    links={"disconnect_social_account": {"socialAccountId": "/id"}},
)
def connect_social_account(call: Call, project_id: ProjectId, body: SocialAccountCreate) -> SocialAccountView:
    """Connect an account; it gets a distribution layer, wired to the project's content layer if there is one."""
    account, layer = service.connect(call.session, require_project(call.session, project_id), body)
    return SocialAccountView.of(account, layer.id)


@routes.get(_PATH, scope="social:read", answers=Page[SocialAccountView], errors=(NotFound,))
def list_social_accounts(call: Call, project_id: ProjectId, page: PageQuery) -> Page[SocialAccountView]:
    """List a project's connected accounts, newest first."""
    project = require_project(call.session, project_id)
    rows, cursor = paginate(call.session, service.listing(project.id), SocialAccount, page)
    layers = service.distribution_layers(call.session, rows)
    items = [SocialAccountView.of(row, layers.get(row.id)) for row in rows]
    return Page[SocialAccountView](items=items, next_cursor=cursor)


@routes.delete(
    "/v1/social-accounts/{socialAccountId}",
    scope="social:write",
    status=204,
    answers=None,
    errors=(NotFound,),
    audit="social_account.disconnected",
)
def disconnect_social_account(call: Call, social_account_id: Annotated[str, Path(alias="socialAccountId")]) -> None:
    """Disconnect an account and remove its distribution layer."""
    service.disconnect(call.session, service.require_account(call.session, social_account_id))
