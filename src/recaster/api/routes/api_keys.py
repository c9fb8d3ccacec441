"""API keys of the organization."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from recaster.api.call import Answer, Call
from recaster.api.errors import invalid
from recaster.api.paging import PageQuery, paginate
from recaster.api.routing import Routes
from recaster.service.errors import NotFound
from recaster.service.keys import service
from recaster.service.keys.model import ApiKey
from recaster.service.keys.schemas import ApiKeyCreate, ApiKeySecretView, ApiKeyView
from recaster.service.schemas import Page

routes = Routes("API keys")

ApiKeyId = Annotated[str, Path(alias="apiKeyId")]
_ONE = "/v1/api-keys/{apiKeyId}"


@routes.post(
    "/v1/api-keys",
    scope="org:admin",
    status=201,
    answers=ApiKeySecretView,
    audit="api_key.minted",
    shows_secret=True,
    links={"rotate_api_key": {"apiKeyId": "/apiKey/id"}, "kill_api_key": {"apiKeyId": "/apiKey/id"}},
)
def create_api_key(call: Call, body: ApiKeyCreate) -> Answer:
    """Mint an API key; its secret is shown in this answer and never again."""
    if call.principal.environment == "test" and body.environment != "test":
        message = "a sandbox key mints sandbox keys only; use test"
        raise invalid([{"path": "environment", "message": message}])
    service.require_room(call.session)
    minted = service.mint(
        call.session, call.services.pepper, call.principal.organization_id, name=body.name, scopes=body.scopes,
        tier=call.principal.organization_tier, environment=body.environment,
    )  # fmt: skip
    return _shown(call, minted)


@routes.get("/v1/api-keys", scope="org:admin", answers=Page[ApiKeyView])
def list_api_keys(call: Call, page: PageQuery) -> Page[ApiKeyView]:
    """List the keys that are not revoked, newest first."""
    rows, cursor = paginate(call.session, service.listing(call.principal.environment), ApiKey, page)
    return Page[ApiKeyView](items=[ApiKeyView.of(row) for row in rows], next_cursor=cursor)


@routes.post(
    f"{_ONE}/rotate",
    scope="org:admin",
    answers=ApiKeySecretView,
    errors=(NotFound,),
    audit="api_key.rotated",
    shows_secret=True,
)
def rotate_api_key(call: Call, api_key_id: ApiKeyId) -> Answer:
    """Give a key a new secret, shown in this answer only; the old one works for 24 more hours."""
    key = service.require_key_of(call.session, api_key_id, call.principal.environment)
    return _shown(call, service.rotate(call.session, call.services.pepper, key))


@routes.post(f"{_ONE}/kill", scope="org:admin", answers=ApiKeyView, errors=(NotFound,), audit="api_key.killed")
def kill_api_key(call: Call, api_key_id: ApiKeyId) -> ApiKeyView:
    """Answer every request of a key with `KILL_SWITCH` from now on; only the operator can lift it."""
    key = service.require_key_of(call.session, api_key_id, call.principal.environment)
    service.suspend(call.session, key.id)
    return ApiKeyView.of(key)


@routes.delete(_ONE, scope="org:admin", status=204, answers=None, errors=(NotFound,), audit="api_key.revoked")
def revoke_api_key(call: Call, api_key_id: ApiKeyId) -> None:
    """Revoke a key for good; it answers like one that never was."""
    service.revoke(call.session, service.require_key_of(call.session, api_key_id, call.principal.environment).id)


def _shown(call: Call, minted: service.MintedKey) -> Answer:
    view = ApiKeyView.of(service.require_key(call.session, minted.id))
    return Answer(ApiKeySecretView(api_key=view, secret=minted.token), target=minted.id)
