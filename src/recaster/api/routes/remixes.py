"""The endpoint the project exists for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from recaster.api.call import Answer, Call
from recaster.api.routing import Routes
from recaster.errors import ConsentMissing
from recaster.infra.database import OrganizationSession
from recaster.service.errors import (
    AccountNotWired,
    BillingExhausted,
    InfluencerNotWired,
    InfluencerRequired,
    InvalidTiktokId,
    NoContentLayerWired,
    NotFound,
)
from recaster.service.remixes.schemas import AcceptedView, VideoRemixRequest
from recaster.service.remixes.service import accept
from recaster.service.sources.finding import Verdict
from recaster.service.sources.service import LookupNeeded

routes = Routes("content")


@routes.post(
    "/v1/projects/{projectId}/content/video-remix",
    scope="content:write",
    rate_class="long-running",
    status=202,
    answers=AcceptedView,
    errors=(
        NotFound, InfluencerRequired, AccountNotWired, NoContentLayerWired, InfluencerNotWired, InvalidTiktokId,
        BillingExhausted, ConsentMissing,
    ),
    transaction=False,
    links={
        "get_job": {"jobId": "/jobId"},
        "cancel_job": {"jobId": "/jobId"},
        "get_content": {"containerId": "/containerIds/0"},
        "get_content_progress": {"containerId": "/containerIds/0"},
    },
)  # fmt: skip
def create_video_remix(
    call: Call, project_id: Annotated[str, Path(alias="projectId")], body: VideoRemixRequest
) -> Response:
    """Start a remix of a source video for a project: its texts in the brand's voice, the influencer's face."""
    verdict: Verdict | None = None

    def work(session: OrganizationSession) -> Answer:
        accepted = accept(
            session, call.engine, call.settings, project_id=project_id, request=body,
            api_key_id=call.principal.api_key_id, tier=call.principal.organization_tier, environment=call.principal.environment, verdict=verdict,
        )  # fmt: skip
        return Answer(accepted, headers={"Location": accepted.location_url, "Retry-After": "2"})

    identity = body.model_dump(mode="json", by_alias=True)
    try:
        return call.idempotent(identity, work)
    except LookupNeeded as unknown:
        # All checks that come before the source have passed, and nothing was written. The platform is asked without any
        # transaction being open; then everything is checked once more.
        verdict = call.finder.find(call.principal.organization_id, unknown.tiktok_video_id)
    return call.idempotent(identity, work)
