"""Rules of containers: opening, closing and showing. `recaster.service.remixes.completion` completes one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
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
from recaster.service.errors import NotFound
from recaster.service.jobs.model import Job, JobStatus


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
    source_credit: str | None = None,
) -> Container:
    """Make the empty container of an accepted remix."""
    container = Container(
        id=session.new_id("cnt"), organization_id=session.organization_id, project_id=project_id, job_id=job_id,
        status=ContainerStatus.QUEUED.value, approval_status="not_required", format="video-remix",
        influencer_id=influencer_id, social_account_id=social_account_id, layer_id=layer_id, source_id=source_id,
        source_tiktok_id=source_tiktok_id, source_credit=source_credit, caption=None, overlays=[], disclosure=None,
        quality=None, last_error=None, reviewed_at=None, review_reason=None, created_at=session.now, completed_at=None,
        failed_at=None,
    )  # fmt: skip
    session.add(container)
    return container


@dataclass(frozen=True, slots=True)
class ContentFilter:
    """Which containers of a project are listed; what is None does not matter. Times: from inclusive, to exclusive."""

    status: ContainerStatus | None = None
    approval_status: str | None = None
    influencer_id: str | None = None
    social_account_id: str | None = None
    source_tiktok_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


def listing(project_id: str, wanted: ContentFilter) -> sa.Select[Container]:
    """The containers of a project that pass the filter, in no order yet."""
    statement = sa.select(Container).where(Container.project_id == project_id)
    equal = {
        Container.status: wanted.status.value if wanted.status else None,
        Container.approval_status: wanted.approval_status,
        Container.influencer_id: wanted.influencer_id,
        Container.social_account_id: wanted.social_account_id,
        Container.source_tiktok_id: wanted.source_tiktok_id,
    }
    for column, value in equal.items():
        if value is not None:
            statement = statement.where(column == value)
    if wanted.created_from is not None:
        statement = statement.where(Container.created_at >= wanted.created_from)
    if wanted.created_to is not None:
        statement = statement.where(Container.created_at < wanted.created_to)
    return statement


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


def assets_of(session: OrganizationSession, container: Container) -> list[AssetView]:
    """Show the assets of a container, videos first."""
    return _asset_views(_assets(session, [container]).get(container.id, []))


def _assets(session: OrganizationSession, containers: Iterable[Container]) -> dict[str, list[Asset]]:
    wanted = [container.id for container in containers]
    found: dict[str, list[Asset]] = {}
    statement = sa.select(Asset).where(Asset.container_id.in_(wanted)).order_by(Asset.kind.desc(), Asset.id)
    for asset in session.scalars(statement):
        found.setdefault(asset.container_id, []).append(asset)
    return found


def _asset_views(rows: list[Asset]) -> list[AssetView]:
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
    return views(session, [container])[0]


def views(session: OrganizationSession, containers: list[Container]) -> list[ContainerView]:
    """Show several containers in their order."""
    assets = _assets(session, containers)
    return [_view(container, _asset_views(assets.get(container.id, []))) for container in containers]


def _view(container: Container, assets: list[AssetView]) -> ContainerView:
    video = next((asset for asset in assets if asset.kind == "video"), None)
    return ContainerView(
        id=container.id, project_id=container.project_id, status=ContainerStatus(container.status).value,
        format="video-remix", hook=None, influencer_id=container.influencer_id,
        social_account_id=container.social_account_id, layer_id=container.layer_id,
        source_tiktok_id=container.source_tiktok_id, source_credit=container.source_credit, caption=container.caption, preview=_preview(video), assets=assets,
        overlays=[_overlay(entry) for entry in container.overlays],
        disclosure=DisclosureView(**container.disclosure) if container.disclosure else None, quality=container.quality,
        approval_status=cast(Any, container.approval_status), creative_type="generated",
        created_at=container.created_at, completed_at=container.completed_at, failed_at=container.failed_at,
        last_error=container.last_error,
    )  # fmt: skip


def progress_view(session: OrganizationSession, container: Container) -> ProgressView:
    """Show how far a container is. The rest is estimated from the pace so far once a tenth is done."""
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
