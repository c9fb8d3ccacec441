"""Containers and the files in them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query
from starlette.responses import Response

from recaster.api.call import Answer, Call
from recaster.api.errors import RangeNotSatisfiable
from recaster.api.files import send_object
from recaster.api.paging import PageQuery, paginate
from recaster.api.routes.projects import ProjectId
from recaster.api.routing import Routes
from recaster.service.content import review, service
from recaster.service.content.model import Container, ContainerStatus
from recaster.service.content.schemas import (
    ContainerView,
    ProgressView,
    Rejection,
    ReviewPolicyPatch,
    ReviewPolicyView,
)
from recaster.service.errors import Conflict, NotFound
from recaster.service.fields import Moment
from recaster.service.projects.service import require_project
from recaster.service.schemas import Page

routes = Routes("content")

ContainerId = Annotated[str, Path(alias="containerId")]
AssetId = Annotated[str, Path(alias="assetId")]
_ASSET = "/v1/content/{containerId}/assets/{assetId}"


_POLICY = "/v1/projects/{projectId}/content-review-policy"


@routes.get("/v1/projects/{projectId}/content", scope="content:read", answers=Page[ContainerView], errors=(NotFound,))
def list_content(
    call: Call,
    project_id: ProjectId,
    page: PageQuery,
    status: Annotated[ContainerStatus | None, Query()] = None,
    approval_status: Annotated[
        Literal["not_required", "pending", "approved", "rejected"] | None, Query(alias="approvalStatus")
    ] = None,
    influencer_id: Annotated[str | None, Query(alias="influencerId", max_length=64)] = None,
    social_account_id: Annotated[str | None, Query(alias="socialAccountId", max_length=64)] = None,
    source_tiktok_id: Annotated[str | None, Query(alias="sourceTiktokId", max_length=32)] = None,
    created_from: Annotated[Moment | None, Query(alias="createdFrom", description="From this time on.")] = None,
    created_to: Annotated[Moment | None, Query(alias="createdTo", description="Before this time.")] = None,
) -> Page[ContainerView]:
    """List a project's containers, newest first; the filters keep what equals all of them."""
    project = require_project(call.session, project_id)
    wanted = service.ContentFilter(
        status=status, approval_status=approval_status, influencer_id=influencer_id,
        social_account_id=social_account_id, source_tiktok_id=source_tiktok_id, created_from=created_from,
        created_to=created_to,
    )  # fmt: skip
    rows, cursor = paginate(call.session, service.listing(project.id, wanted), Container, page)
    return Page[ContainerView](items=service.views(call.session, rows), next_cursor=cursor)


@routes.get("/v1/content/{containerId}", scope="content:read", answers=ContainerView, errors=(NotFound,), etag=True)
def get_content(call: Call, container_id: ContainerId) -> ContainerView:
    """Show a container with its assets, overlays and measures."""
    return service.view(call.session, service.require_container(call.session, container_id))


@routes.post(
    "/v1/content/{containerId}/approve",
    scope="content:write",
    answers=ContainerView,
    errors=(NotFound, Conflict),
    audit="content.approved",
)
def approve_content(call: Call, container_id: ContainerId) -> ContainerView:
    """Approve finished content that waits for review."""
    return service.view(call.session, review.approve(call.session, container_id))


@routes.post(
    "/v1/content/{containerId}/reject",
    scope="content:write",
    answers=ContainerView,
    errors=(NotFound, Conflict),
    audit="content.rejected",
)
def reject_content(call: Call, container_id: ContainerId, body: Rejection | None = None) -> ContainerView:
    """Reject finished content that waits for review, with a reason if you like."""
    reason = body.reason if body is not None else None
    return service.view(call.session, review.reject(call.session, container_id, reason))


@routes.get(_POLICY, scope="content:read", answers=ReviewPolicyView, errors=(NotFound,))
def get_review_policy(call: Call, project_id: ProjectId) -> ReviewPolicyView:
    """Show which finished content of a project waits for approval."""
    return review.policy_view(require_project(call.session, project_id))


@routes.patch(
    _POLICY,
    scope="content:write",
    answers=ReviewPolicyView,
    errors=(NotFound,),
    audit="content_review_policy.updated",
)
def update_review_policy(call: Call, project_id: ProjectId, body: ReviewPolicyPatch) -> Answer:
    """Choose which content that is finished from now on waits for approval."""
    view = review.set_policy(call.session, require_project(call.session, project_id), body)
    return Answer(view, target=view.project_id, audit_details={"policy": view.policy, "firstN": view.first_n})


@routes.get("/v1/content/{containerId}/progress", scope="content:read", answers=ProgressView, errors=(NotFound,))
def get_content_progress(call: Call, container_id: ContainerId) -> ProgressView:
    """Show how far a container is."""
    return service.progress_view(call.session, service.require_container(call.session, container_id))


@routes.route(
    "HEAD",
    _ASSET,
    scope="content:read",
    answers=None,
    errors=(NotFound, RangeNotSatisfiable),
    transaction=False,
    media_type="video/mp4",
    ranges=True,
)
@routes.get(
    _ASSET,
    scope="content:read",
    answers=None,
    errors=(NotFound, RangeNotSatisfiable),
    transaction=False,
    media_type="video/mp4",
    ranges=True,
)
def get_asset(call: Call, container_id: ContainerId, asset_id: AssetId) -> Response:
    """Download an asset, whole or in ranges."""
    with call.database.read(call.principal.organization_id) as session:
        asset = service.require_asset(session, container_id, asset_id)
    return send_object(
        call.request, call.storage, asset.object_key, size=asset.size_bytes, mime_type=asset.mime_type,
        checksum_sha256=asset.checksum_sha256, name=asset.id,
    )  # fmt: skip
