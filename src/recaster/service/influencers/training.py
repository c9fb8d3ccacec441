"""Starting the job that makes an influencer ready. What the job does is the worker's business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from recaster.infra.database import OrganizationSession
from recaster.service.errors import RateLimited
from recaster.service.influencers import service
from recaster.service.influencers.model import Influencer
from recaster.service.influencers.schemas import PreparationView
from recaster.service.jobs.service import JobQueue, open_job, running_jobs
from recaster.service.keys.service import Environment

WORKFLOW: Final = "influencer_create"
"""Name under which the worker registers the work, and kind of the job."""


def start_preparation(
    session: OrganizationSession,
    queue: JobQueue,
    influencer: Influencer,
    asset_ids: Sequence[str],
    *,
    api_key_id: str,
    most_running_jobs: int,
    environment: Environment = "live",
) -> PreparationView:
    """Take the reference images and queue the job: all in the session's transaction.

    The job's input is `{influencerId, assetIds}`.

    Raises:
        NotFound, InvalidInput, Conflict: as `service.set_reference_images` says.
        RateLimited: too many jobs of the organization are running.
    """
    assets = service.set_reference_images(session, influencer, asset_ids)
    if running_jobs(session) >= most_running_jobs:
        raise RateLimited(
            f"{most_running_jobs} jobs of this organization are running, which is the most its tier allows. "
            "Try again when one has ended.",
            retry_after=30,
            limit=most_running_jobs,
            scope="running_jobs",
        )
    job = open_job(
        session,
        queue,
        kind=WORKFLOW,
        workflow=WORKFLOW,
        project_id=influencer.project_id,
        api_key_id=api_key_id,
        environment=environment,
        input={"influencerId": influencer.id, "assetIds": [asset.id for asset in assets]},
    )
    service.mark_training(session, influencer, job.id)
    return PreparationView(job_id=job.id, location_url=f"/v1/jobs/{job.id}")
