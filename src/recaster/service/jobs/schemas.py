"""Wire shapes of jobs (contract section 5)."""

from __future__ import annotations

from typing import Any, Literal

from recaster.service.content.schemas import AssetView
from recaster.service.schemas import UtcTime, View


class JobErrorView(View):
    """Why a job failed."""

    code: str
    message: str
    details: dict[str, Any]


class JobResultView(View):
    """What a completed job made."""

    container_id: str | None
    assets: list[AssetView]


class JobView(View):
    """A job as its owner sees it."""

    job_id: str
    kind: str
    status: Literal["running", "completed", "failed", "canceled"]
    stage: str
    progress: float
    project_id: str | None
    container_ids: list[str]
    started_at: UtcTime
    finished_at: UtcTime | None
    result: JobResultView | None
    error: JobErrorView | None


class CancelView(View):
    """What became of the wish to cancel."""

    job_id: str
    accepted: bool
    reason: Literal["ALREADY_COMPLETED", "ALREADY_FAILED", "ALREADY_CANCELED"] | None = None
