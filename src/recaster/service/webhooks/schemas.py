"""Wire shapes of webhook endpoints, deliveries, and of what is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from recaster.infra.clock import from_milliseconds
from recaster.service.fields import Line200
from recaster.service.projects.schemas import without_defaults
from recaster.service.schemas import RequestBody, UtcTime, View
from recaster.service.webhooks.model import Event, WebhookDelivery, WebhookEndpoint

EventName = Literal[
    "job.completed", "job.failed", "job.canceled", "content.generated", "content.approved", "content.rejected",
    "test.ping",
]  # fmt: skip
"""Everything that is told."""
EVENT_NAMES: tuple[str, ...] = get_args(EventName)


def _distinct(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("names one event twice")
    return value


Events = Annotated[list[EventName], Field(min_length=1, max_length=50), AfterValidator(_distinct)]
Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=2000, pattern=r"^https?://")]


class EndpointCreate(RequestBody):
    """Where to send which events. With `projectId` only events of that project are sent."""

    url: Url
    """`https`; `http` only for the loopback address where the operator opened it for development."""
    events: Events
    description: Line200 | None = None
    project_id: str | None = None


class EndpointPatch(RequestBody):
    """Changes of an endpoint. Fields that are not sent keep their value; `active` takes up what waits."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    url: Url = ""
    events: Events = Field(default_factory=list)
    description: Line200 | None = None
    status: Literal["active", "paused"] = "active"


class EndpointView(View):
    """A webhook endpoint; never its secret."""

    id: str
    url: str
    events: list[str]
    description: str | None
    project_id: str | None
    status: Literal["active", "paused", "auto_paused"]
    failures: int
    """Failed tries in a row; at 20 the endpoint is auto-paused."""
    created_at: UtcTime
    updated_at: UtcTime

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> EndpointView:
        """Show a row."""
        return cls(**{name: getattr(endpoint, name) for name in cls.model_fields})


class EndpointSecretView(View):
    """An endpoint with its signing secret, which is shown this once."""

    endpoint: EndpointView
    signing_secret: str


class AttemptView(View):
    """One try to deliver. Without an answer `statusCode` is null and `error` says why; `response` is its beginning."""

    at: UtcTime
    status_code: int | None
    error: str | None
    duration_ms: int
    response: str | None


class DeliveryView(View):
    """The telling of one event to one endpoint."""

    id: str
    endpoint_id: str
    event_id: str
    event_type: str
    replay_of: str | None
    status: Literal["pending", "delivered", "failed"]
    attempts: list[AttemptView]
    next_attempt_at: UtcTime | None
    created_at: UtcTime
    delivered_at: UtcTime | None
    payload: dict[str, Any]

    @classmethod
    def of(cls, delivery: WebhookDelivery, event: Event) -> DeliveryView:
        """Show a row with its event."""
        same = ("id", "endpoint_id", "event_id", "replay_of", "status", "next_attempt_at", "created_at", "delivered_at")
        return cls(
            **{name: getattr(delivery, name) for name in same},
            event_type=event.type,
            attempts=[AttemptView(**{**entry, "at": from_milliseconds(entry["at"])}) for entry in delivery.attempts],
            payload=payload(event, delivery.replay_of).model_dump(mode="json", by_alias=True, exclude_unset=True),
        )


class WebhookPayload(View):
    """The body of a delivery. `sequence` counts up from 1 per job without gaps, and is 0 where there is no job.

    `replayOf` is there on a replay only, and names the delivery that is repeated.
    """

    id: str
    type: EventName
    timestamp: UtcTime
    sequence: int
    data: dict[str, Any]
    replay_of: str | None = None


class JobEventData(View):
    """`data` of `job.completed`, `job.failed` and `job.canceled`."""

    job_id: str
    kind: str
    environment: Literal["live", "test"]
    """`test` where a sandbox key started it."""
    status: Literal["completed", "failed", "canceled"]
    project_id: str | None
    container_ids: list[str]
    error: dict[str, Any] | None
    finished_at: UtcTime


class ContentEventData(View):
    """`data` of `content.generated`, `content.approved` and `content.rejected`."""

    container_id: str
    project_id: str
    job_id: str
    environment: Literal["live", "test"]
    status: str
    approval_status: str
    source_tiktok_id: str
    reason: str | None
    """Why it was rejected."""


class PingData(View):
    """`data` of `test.ping`."""

    endpoint_id: str
    message: str


def payload(event: Event, replay_of: str | None) -> WebhookPayload:
    """Return what is sent of an event."""
    told: dict[str, Any] = {"replay_of": replay_of} if replay_of else {}
    moment: datetime = event.created_at
    return WebhookPayload(
        id=event.id, type=event.type, timestamp=moment, sequence=event.sequence, data=event.data, **told
    )
