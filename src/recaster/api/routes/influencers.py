"""Influencers and their reference images."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from recaster.api.call import Answer, Call
from recaster.api.errors import RangeNotSatisfiable
from recaster.api.files import send_object
from recaster.api.paging import PageQuery, paginate
from recaster.api.routes.projects import ProjectId
from recaster.api.routing import Routes
from recaster.service.errors import Conflict, NotFound
from recaster.service.influencers import service
from recaster.service.influencers.model import Influencer
from recaster.service.influencers.schemas import (
    InfluencerCreate,
    InfluencerPatch,
    InfluencerView,
    PreparationView,
    ReferenceImages,
)
from recaster.service.influencers.training import start_preparation
from recaster.service.projects.service import require_project
from recaster.service.schemas import Page

routes = Routes("influencers")

InfluencerId = Annotated[str, Path(alias="influencerId")]


@routes.post(
    "/v1/projects/{projectId}/influencers",
    scope="influencers:write",
    status=201,
    answers=InfluencerView,
    errors=(NotFound,),
    audit="influencer.created",
    links={
        name: {"influencerId": "/id"}
        for name in ("get_influencer", "update_influencer", "archive_influencer", "set_reference_images")
    },
)
def create_influencer(call: Call, project_id: ProjectId, body: InfluencerCreate) -> InfluencerView:
    """Add an influencer; it becomes ready once its reference images are prepared."""
    project = require_project(call.session, project_id)
    return InfluencerView.of(service.create(call.session, project, body))


@routes.get(
    "/v1/projects/{projectId}/influencers",
    scope="influencers:read",
    answers=Page[InfluencerView],
    errors=(NotFound,),
)
def list_influencers(call: Call, project_id: ProjectId, page: PageQuery) -> Page[InfluencerView]:
    """List a project's influencers, newest first."""
    project = require_project(call.session, project_id)
    rows, cursor = paginate(call.session, service.listing(project.id), Influencer, page)
    return Page[InfluencerView](items=[InfluencerView.of(row) for row in rows], next_cursor=cursor)


@routes.get("/v1/influencers/{influencerId}", scope="influencers:read", answers=InfluencerView, errors=(NotFound,))
def get_influencer(call: Call, influencer_id: InfluencerId) -> InfluencerView:
    """Show an influencer."""
    return InfluencerView.of(service.require_influencer(call.session, influencer_id))


@routes.patch(
    "/v1/influencers/{influencerId}",
    scope="influencers:write",
    answers=InfluencerView,
    errors=(NotFound,),
    audit="influencer.updated",
)
def update_influencer(call: Call, influencer_id: InfluencerId, body: InfluencerPatch) -> InfluencerView:
    """Change the fields that are sent; a person's consent is renewed or revoked here."""
    influencer = service.require_influencer(call.session, influencer_id)
    return InfluencerView.of(service.update(call.session, influencer, body))


@routes.delete(
    "/v1/influencers/{influencerId}",
    scope="influencers:write",
    status=204,
    answers=None,
    errors=(NotFound,),
    audit="influencer.archived",
)
def archive_influencer(call: Call, influencer_id: InfluencerId) -> None:
    """Take an influencer out of use."""
    service.archive(call.session, service.require_influencer(call.session, influencer_id))


@routes.post(
    "/v1/influencers/{influencerId}/reference-images",
    scope="influencers:write",
    rate_class="long-running",
    status=202,
    answers=PreparationView,
    errors=(NotFound, Conflict),
    audit="influencer.reference_images_set",
    links={"get_job": {"jobId": "/jobId"}, "cancel_job": {"jobId": "/jobId"}},
)
def set_reference_images(call: Call, influencer_id: InfluencerId, body: ReferenceImages) -> Answer:
    """Give an influencer its pictures and start the job that makes it ready."""
    influencer = service.require_influencer(call.session, influencer_id)
    limit = call.settings.limits(call.principal.organization_tier).running_jobs
    started = start_preparation(
        call.session,
        call.engine,
        influencer,
        body.asset_ids,
        api_key_id=call.principal.api_key_id,
        most_running_jobs=limit,
        environment=call.principal.environment,
    )
    return Answer(started, headers={"Location": started.location_url, "Retry-After": "2"})


@routes.get(
    "/v1/influencers/{influencerId}/image",
    scope="influencers:read",
    answers=None,
    errors=(NotFound, RangeNotSatisfiable),
    transaction=False,
    media_type="image/*",
    ranges=True,
)
def get_influencer_image(call: Call, influencer_id: InfluencerId) -> Response:
    """Download the first reference image: what `imageUrl` leads to."""
    with call.database.read(call.principal.organization_id) as session:
        influencer = service.require_influencer(session, influencer_id)
        if not influencer.reference_asset_ids:
            raise NotFound("image of the influencer", influencer_id)
        asset = service.reference_assets(session, influencer)[0]
    return send_object(
        call.request,
        call.storage,
        asset.object_key,
        size=asset.size_bytes,
        mime_type=asset.mime_type,
        checksum_sha256=asset.checksum_sha256,
        name=asset.id,
    )
