"""Rules of containers: showing them, closing them, and the one transaction that completes a remix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import sqlalchemy as sa

from recaster.infra.database import OrganizationSession
from recaster.infra.ids import parse_id
from recaster.service.content.model import Asset, Container, ContainerStatus
from recaster.service.content.schemas import (
    AssetView,
    BoxView,
    ContainerView,
    DisclosureView,
    OverlayView,
    PreviewView,
    ProgressView,
)
from recaster.service.credits import service as credits
from recaster.service.errors import NotFound


@dataclass(frozen=True, slots=True)
class NewAsset:
    """A file that lies in object storage and becomes an asset."""

    kind: Literal["video", "thumbnail"]
    object_key: str
    mime_type: str
    size_bytes: int
    checksum_sha256: str
    width: int
    height: int
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NewOverlay:
    """An overlay as it goes into the container. `box` is x, y, width, height in pixels."""

    start_ms: int
    end_ms: int
    source_text: str
    adapted_text: str
    role: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Completion:
    """Everything that a finished remix adds to its container."""

    assets: Sequence[NewAsset]
    overlays: Sequence[NewOverlay]
    disclosure_label: str
    caption: str | None = None
    quality: dict[str, Any] = field(default_factory=dict)
    """Measured figures of the output, JSON."""
    c2pa: dict[str, Any] | None = None


def open_container(
    session: OrganizationSession,
    *,
    job_id: str,
    project_id: str,
    influencer_id: str,
    social_account_id: str | None,
    layer_id: str | None,
    source_id: str,
    source_tiktok_id: str,
) -> Container:
    """Make the empty container of an accepted remix."""
    container = Container(
        id=session.new_id("cnt"), organization_id=session.organization_id, project_id=project_id, job_id=job_id,
        status=ContainerStatus.QUEUED.value, approval_status="not_required", format="video-remix",
        influencer_id=influencer_id, social_account_id=social_account_id, layer_id=layer_id, source_id=source_id,
        source_tiktok_id=source_tiktok_id, caption=None, overlays=[], disclosure=None, quality=None, last_error=None,
        created_at=session.now, completed_at=None, failed_at=None,
    )  # fmt: skip
    session.add(container)
    session.flush()
    return container


def require_container(session: OrganizationSession, container_id: str) -> Container:
    """Return a container.

    Raises:
        NotFound: it is unknown, or of another organization.
    """
    canonical = parse_id("cnt", container_id)
    container = session.get(Container, canonical) if canonical else None
    if container is None:
        raise NotFound("container", container_id)
    return container


def require_asset(session: OrganizationSession, container_id: str, asset_id: str) -> Asset:
    """Return an asset of a container.

    Raises:
        NotFound: there is no such container, or no such asset in it.
    """
    container = require_container(session, container_id)
    canonical = parse_id("ast", asset_id)
    asset = session.get(Asset, canonical) if canonical else None
    if asset is None or asset.container_id != container.id:
        raise NotFound("asset", asset_id)
    return asset


def close_containers(
    session: OrganizationSession, job_id: str, status: ContainerStatus, error: dict[str, Any] | None
) -> None:
    """End the open containers of a job that failed or was cancelled."""
    for container in session.scalars(sa.select(Container).where(Container.job_id == job_id)):
        if container.status in {ContainerStatus.QUEUED, ContainerStatus.PROCESSING}:
            container.status = status.value
            container.last_error = error
            container.failed_at = session.now if status is ContainerStatus.FAILED else None


def complete(session: OrganizationSession, job_id: str, completion: Completion) -> str:
    """Complete a remix in the caller's one transaction: assets, container, job and captured credits. Returns the container id.

    Needs a system session.

    Raises:
        Cancelled: the job is not running any more; nothing is written.
    """
    from recaster.service.jobs import service as jobs

    job = jobs.locked_running(session, job_id)
    container = session.scalars(sa.select(Container).where(Container.job_id == job_id)).one()
    for new in completion.assets:
        session.add(
            Asset(
                id=session.new_id("ast"), organization_id=container.organization_id, container_id=container.id,
                kind=new.kind, object_key=new.object_key, mime_type=new.mime_type, size_bytes=new.size_bytes,
                checksum_sha256=new.checksum_sha256, duration_ms=new.duration_ms, width=new.width, height=new.height,
                created_at=session.now,
            )
        )  # fmt: skip
    container.status = ContainerStatus.COMPLETED.value
    container.completed_at = session.now
    container.caption = completion.caption
    container.overlays = [
        {
            "startMs": overlay.start_ms, "endMs": overlay.end_ms, "sourceText": overlay.source_text,
            "adaptedText": overlay.adapted_text, "role": overlay.role, "box": list(overlay.box),
        }
        for overlay in completion.overlays
    ]  # fmt: skip
    container.disclosure = {"label": completion.disclosure_label, "c2pa": completion.c2pa}
    container.quality = dict(completion.quality)
    jobs.finish(session, job)
    credits.capture(session, job_id)
    session.flush()
    return container.id


def assets_of(session: OrganizationSession, container: Container) -> list[AssetView]:
    """Show the assets of a container, videos first."""
    rows = list(session.scalars(sa.select(Asset).where(Asset.container_id == container.id).order_by(Asset.kind.desc(), Asset.id)))
    thumbnail = next((row for row in rows if row.kind == "thumbnail"), None)
    thumbnail_url = asset_url(thumbnail) if thumbnail else None
    return [
        AssetView(
            asset_id=row.id, kind=cast(Literal["video", "thumbnail"], row.kind), url=asset_url(row),
            thumbnail_url=thumbnail_url, duration_ms=row.duration_ms, width=row.width, height=row.height,
            mime_type=row.mime_type, size_bytes=row.size_bytes, checksum_sha256=row.checksum_sha256,
        )
        for row in rows
    ]  # fmt: skip


def asset_url(asset: Asset) -> str:
    """Return the path under which an asset is downloaded."""
    return f"/v1/content/{asset.container_id}/assets/{asset.id}"


def view(session: OrganizationSession, container: Container) -> ContainerView:
    """Show a container."""
    assets = assets_of(session, container)
    video = next((asset for asset in assets if asset.kind == "video"), None)
    return ContainerView(
        id=container.id, project_id=container.project_id, status=ContainerStatus(container.status).value,
        format="video-remix", hook=None, influencer_id=container.influencer_id,
        social_account_id=container.social_account_id, layer_id=container.layer_id,
        source_tiktok_id=container.source_tiktok_id, caption=container.caption, preview=_preview(video), assets=assets,
        overlays=[_overlay(entry) for entry in container.overlays],
        disclosure=DisclosureView(**container.disclosure) if container.disclosure else None, quality=container.quality,
        approval_status=cast(Any, container.approval_status), creative_type="generated",
        created_at=container.created_at, completed_at=container.completed_at, failed_at=container.failed_at,
        last_error=container.last_error,
    )  # fmt: skip


def progress_view(session: OrganizationSession, container: Container) -> ProgressView:
    """Show how far a container is. The rest is estimated from the pace so far once a tenth is done."""
    from recaster.service.jobs.model import Job, JobStatus

    job = session.get_one(Job, container.job_id)
    eta = None
    if job.status == JobStatus.RUNNING and job.progress >= 0.1:
        elapsed = (job.updated_at - job.started_at).total_seconds()
        eta = math.ceil(elapsed * (1 - job.progress) / job.progress)
    return ProgressView(
        container_id=container.id, status=ContainerStatus(container.status).value, stage=job.stage,
        stage_progress=round(job.stage_progress, 4), eta_seconds=eta, updated_at=job.updated_at,
    )  # fmt: skip


def _preview(video: AssetView | None) -> PreviewView:
    if video is None:
        return PreviewView(
            kind=None, primary_url=None, video_url=None, thumbnail_url=None, duration_ms=None, aspect_ratio=None
        )
    divisor = math.gcd(video.width, video.height)
    return PreviewView(
        kind="video", primary_url=video.url, video_url=video.url, thumbnail_url=video.thumbnail_url,
        duration_ms=video.duration_ms, aspect_ratio=f"{video.width // divisor}:{video.height // divisor}",
    )  # fmt: skip


def _overlay(entry: dict[str, Any]) -> OverlayView:
    x, y, width, height = entry["box"]
    return OverlayView(
        start_ms=entry["startMs"], end_ms=entry["endMs"], source_text=entry["sourceText"],
        adapted_text=entry["adaptedText"], role=entry["role"], box=BoxView(x=x, y=y, width=width, height=height),
    )  # fmt: skip
