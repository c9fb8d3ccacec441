"""Wire shapes of containers and assets (contract section 5)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from recaster.service.fields import Text500
from recaster.service.schemas import RequestBody, UtcTime, View


class AssetView(View):
    """A finished file. `url` is a path of this API, downloaded with the same API key; it supports ranges."""

    asset_id: str
    kind: Literal["video", "thumbnail"]
    url: str
    thumbnail_url: str | None
    duration_ms: int | None
    width: int
    height: int
    mime_type: str
    size_bytes: int
    checksum_sha256: str


class PreviewView(View):
    """What to show of the container; every field is null until there is something."""

    kind: Literal["video"] | None
    primary_url: str | None
    video_url: str | None
    thumbnail_url: str | None
    duration_ms: int | None
    aspect_ratio: str | None


class BoxView(View):
    """Where an overlay stands, in pixels of the video as shown, origin top left."""

    x: float
    y: float
    width: float
    height: float


class OverlayView(View):
    """One burned-in text: what it said, what it says now. A kept line has the same text twice."""

    start_ms: int
    end_ms: int
    source_text: str
    adapted_text: str
    role: str
    box: BoxView


class DisclosureView(View):
    """What tells viewers that the video is made by a machine. `c2pa` is null until manifests are written."""

    ai_generated: Literal[True] = True
    label: str
    c2pa: dict[str, Any] | None = Field(alias="c2pa")


class ContainerView(View):
    """A container as its owner sees it."""

    id: str
    project_id: str
    status: Literal["queued", "processing", "completed", "failed", "canceled"]
    format: Literal["video-remix"]
    hook: None
    influencer_id: str
    social_account_id: str | None
    layer_id: str | None
    source_tiktok_id: str
    source_credit: str | None
    """The source's creator as `@handle`; null where nobody knows."""
    caption: str | None
    preview: PreviewView
    assets: list[AssetView]
    overlays: list[OverlayView]
    disclosure: DisclosureView | None
    quality: dict[str, Any] | None
    approval_status: Literal["not_required", "pending", "approved", "rejected"]
    creative_type: Literal["generated"]
    created_at: UtcTime
    completed_at: UtcTime | None
    failed_at: UtcTime | None
    last_error: dict[str, Any] | None


ReviewPolicyName = Literal["auto_approve", "review_first_n", "review_all"]
"""Which finished content waits for somebody's approval."""


class ReviewPolicyView(View):
    """The review policy of a project. `firstN` is null unless the policy is `review_first_n`."""

    project_id: str
    policy: ReviewPolicyName
    first_n: int | None
    updated_at: UtcTime


class ReviewPolicyPatch(RequestBody):
    """A new review policy. `review_first_n` needs `firstN`: so many finished videos of the project are reviewed."""

    policy: ReviewPolicyName
    first_n: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="after")
    def _n_where_it_counts(self) -> Self:
        if (self.policy == "review_first_n") != (self.first_n is not None):
            raise ValueError("firstN is needed for review_first_n, and for no other policy")
        return self


class Rejection(RequestBody):
    """Why content is rejected."""

    reason: Text500 | None = None


class ProgressView(View):
    """How far a container is. `etaSeconds` is null while there is nothing to go by."""

    container_id: str
    status: Literal["queued", "processing", "completed", "failed", "canceled"]
    stage: str
    stage_progress: float
    eta_seconds: int | None
    updated_at: UtcTime
