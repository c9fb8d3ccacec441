"""Webhook endpoints and their deliveries."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from recaster.api.call import Answer, Call
from recaster.api.paging import PageQuery, paginate
from recaster.api.routing import Routes
from recaster.service.errors import Conflict, NotFound
from recaster.service.schemas import Page
from recaster.service.webhooks import service
from recaster.service.webhooks.model import DeliveryStatus, WebhookDelivery, WebhookEndpoint
from recaster.service.webhooks.schemas import (
    DeliveryView,
    EndpointCreate,
    EndpointPatch,
    EndpointSecretView,
    EndpointView,
)

routes = Routes("webhooks")

EndpointId = Annotated[str, Path(alias="endpointId")]
_LIST = "/v1/webhook-endpoints"
_ONE = "/v1/webhook-endpoints/{endpointId}"
_FOLLOWING = {
    name: {"endpointId": "/endpoint/id"}
    for name in (
        "get_webhook_endpoint",
        "update_webhook_endpoint",
        "test_webhook_endpoint",
        "list_webhook_deliveries",
        "rotate_webhook_secret",
        "delete_webhook_endpoint",
    )
}


@routes.post(
    _LIST,
    scope="webhooks:write",
    status=201,
    answers=EndpointSecretView,
    errors=(NotFound, Conflict),
    audit="webhook_endpoint.created",
    shows_secret=True,
    links=_FOLLOWING,
)
def create_webhook_endpoint(call: Call, body: EndpointCreate) -> Answer:
    """Add an endpoint that is told of events; its signing secret is shown in this answer and never again."""
    networks = call.settings.open_networks()
    endpoint, secret = service.create(call.session, call.services.sealer, body, networks)
    return Answer(
        EndpointSecretView(endpoint=EndpointView.of(endpoint), signing_secret=secret),
        target=endpoint.id,
        audit_details={"url": endpoint.url, "events": endpoint.events},
    )


@routes.get(_LIST, scope="webhooks:read", answers=Page[EndpointView])
def list_webhook_endpoints(call: Call, page: PageQuery) -> Page[EndpointView]:
    """List the endpoints, newest first."""
    rows, cursor = paginate(call.session, service.listing(), WebhookEndpoint, page)
    return Page[EndpointView](items=[EndpointView.of(row) for row in rows], next_cursor=cursor)


@routes.get(_ONE, scope="webhooks:read", answers=EndpointView, errors=(NotFound,))
def get_webhook_endpoint(call: Call, endpoint_id: EndpointId) -> EndpointView:
    """Show an endpoint."""
    return EndpointView.of(service.require_endpoint(call.session, endpoint_id))


@routes.patch(_ONE, scope="webhooks:write", answers=EndpointView, errors=(NotFound,), audit="webhook_endpoint.updated")
def update_webhook_endpoint(call: Call, endpoint_id: EndpointId, body: EndpointPatch) -> EndpointView:
    """Change the fields that are sent; `status` pauses an endpoint or takes it up again."""
    endpoint = service.require_endpoint(call.session, endpoint_id)
    return EndpointView.of(service.update(call.session, endpoint, body, call.settings.open_networks()))


@routes.delete(
    _ONE,
    scope="webhooks:write",
    status=204,
    answers=None,
    errors=(NotFound,),
    audit="webhook_endpoint.deleted",
)
def delete_webhook_endpoint(call: Call, endpoint_id: EndpointId) -> None:
    """Delete an endpoint; what still waits for it is not sent."""
    service.delete(call.session, service.require_endpoint(call.session, endpoint_id))


@routes.post(
    f"{_ONE}/rotate-secret",
    scope="webhooks:write",
    answers=EndpointSecretView,
    errors=(NotFound,),
    audit="webhook_endpoint.secret_rotated",
    shows_secret=True,
)
def rotate_webhook_secret(call: Call, endpoint_id: EndpointId) -> Answer:
    """Give an endpoint a new secret, shown in this answer only; for 24 hours the old one signs beside it."""
    endpoint = service.require_endpoint(call.session, endpoint_id)
    secret = service.rotate_secret(call.session, call.services.sealer, endpoint)
    view = EndpointSecretView(endpoint=EndpointView.of(endpoint), signing_secret=secret)
    return Answer(view, target=endpoint.id)


@routes.post(
    f"{_ONE}/test",
    scope="webhooks:write",
    status=202,
    answers=DeliveryView,
    errors=(NotFound, Conflict),
    audit="webhook_endpoint.tested",
    links={"replay_webhook_delivery": {"deliveryId": "/id"}},
)
def test_webhook_endpoint(call: Call, endpoint_id: EndpointId) -> Answer:
    """Send a `test.ping` to an endpoint."""
    endpoint = service.require_endpoint(call.session, endpoint_id)
    return Answer(DeliveryView.of(*service.send_test(call.session, endpoint)), target=endpoint.id)


@routes.get(f"{_ONE}/deliveries", scope="webhooks:read", answers=Page[DeliveryView], errors=(NotFound,))
def list_webhook_deliveries(
    call: Call, endpoint_id: EndpointId, page: PageQuery, status: Annotated[DeliveryStatus | None, Query()] = None
) -> Page[DeliveryView]:
    """List what was or will be sent to an endpoint, newest first, with every try."""
    endpoint = service.require_endpoint(call.session, endpoint_id)
    rows, cursor = paginate(call.session, service.deliveries_of(endpoint, status), WebhookDelivery, page)
    events = service.events_of(call.session, rows)
    items = [DeliveryView.of(row, events[row.event_id]) for row in rows]
    return Page[DeliveryView](items=items, next_cursor=cursor)


@routes.post(
    "/v1/webhook-deliveries/{deliveryId}/replay",
    scope="webhooks:write",
    status=202,
    answers=DeliveryView,
    errors=(NotFound, Conflict),
    audit="webhook_delivery.replayed",
)
def replay_webhook_delivery(call: Call, delivery_id: Annotated[str, Path(alias="deliveryId")]) -> Answer:
    """Send the event of an ended delivery once more: same event id, a new delivery, `replayOf` in its body."""
    delivery, event = service.replay(call.session, delivery_id)
    return Answer(DeliveryView.of(delivery, event), target=delivery.replay_of)
