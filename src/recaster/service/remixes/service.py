"""Accepting a remix: the contract's checks in the contract's order, then everything in one transaction."""

from __future__ import annotations

from typing import Final

from recaster.infra.database import OrganizationSession
from recaster.infra.failpoints import Failpoint, reach
from recaster.infra.settings import RateTier, Settings
from recaster.service.content.service import open_container
from recaster.service.credits import service as credits
from recaster.service.errors import BillingExhausted, InvalidTiktokId, RateLimited
from recaster.service.influencers.service import check_usable
from recaster.service.jobs.service import JobQueue, open_job, running_jobs
from recaster.service.keys.service import Environment
from recaster.service.layers.service import resolve_wiring
from recaster.service.projects.service import require_project
from recaster.service.remixes.schemas import AcceptedView, VideoRemixRequest
from recaster.service.sandbox.service import SOURCE_ID
from recaster.service.sources.finding import Verdict
from recaster.service.sources.schemas import is_tiktok_video_id
from recaster.service.sources.service import resolve

WORKFLOW: Final = "remix"
"""Name under which the worker registers the work."""
KIND: Final = credits.PAID_KIND
"""Kind of the job, in the contract's words."""


def accept(
    session: OrganizationSession,
    queue: JobQueue,
    settings: Settings,
    *,
    project_id: str,
    request: VideoRemixRequest,
    api_key_id: str,
    tier: RateTier,
    environment: Environment = "live",
    verdict: Verdict | None = None,
) -> AcceptedView:
    """Check the request and start its job: job, container, reserved credits and queued workflow commit together.

    `tier` is the organization's; it decides how many jobs may run at a time. In the environment `test` any id of the
    right form leads to the sandbox's source, and no credits are touched. `verdict` is what was found out about an id that
    the library does not hold.

    Raises:
        NotFound: the project, the account or the influencer is unknown, archived, or somebody else's.
        InfluencerRequired, AccountNotWired, NoContentLayerWired, InfluencerNotWired: the wiring does not lead to one.
        Conflict, ConsentMissing: the influencer cannot be used.
        InvalidTiktokId: the source cannot be fetched.
        LookupNeeded: the library does not know the id; find out outside of the transaction and come again.
        BillingExhausted: too few credits.
        RateLimited: too many running jobs.
    """
    project = require_project(session, project_id)
    wiring = resolve_wiring(session, project, request.social_account_id, request.influencer_id)
    check_usable(session, wiring.influencer, session.now)
    sandbox = environment == "test"
    source = None if sandbox else resolve(session, settings, project, request.tiktok_video_id, verdict)
    source_id = source.id if source is not None else _sandbox_source(request)
    price = 0 if sandbox else settings.video_remix_credits
    # Held from here on, so that on Postgres two requests of one organization decide one after the other.
    wallet = credits.lock_wallet(session, session.organization_id)
    available = wallet.included + wallet.prepaid
    if available < price:
        raise BillingExhausted(
            f"A remix costs {price} credits, {available} are available. Add credits, or wait until running jobs end.",
            required=price, available=available,
        )  # fmt: skip
    limit = settings.limits(tier).running_jobs
    if running_jobs(session) >= limit:
        raise RateLimited(
            f"{limit} jobs of this organization are running, the most its tier allows. Try again when one has ended.",
            retry_after=30, limit=limit, scope="running_jobs",
        )  # fmt: skip
    job = open_job(
        session, queue, kind=KIND, workflow=WORKFLOW, project_id=project.id, api_key_id=api_key_id,
        environment=environment,
        input={"tiktokVideoId": request.tiktok_video_id, "sourceId": source_id, "influencerId": wiring.influencer.id},
    )  # fmt: skip
    container = open_container(
        session, job_id=job.id, project_id=project.id, influencer_id=wiring.influencer.id,
        social_account_id=wiring.social_account_id, layer_id=wiring.layer_id, source_id=source_id,
        source_tiktok_id=request.tiktok_video_id,
        source_credit=f"@{source.author}" if source is not None and source.author else None,
    )  # fmt: skip
    if not sandbox:
        credits.reserve(session, job.id, price)
    reach(Failpoint.ACCEPT_RESERVED)
    return AcceptedView(job_id=job.id, container_ids=[container.id], location_url=f"/v1/jobs/{job.id}")


def _sandbox_source(request: VideoRemixRequest) -> str:
    if not is_tiktok_video_id(request.tiktok_video_id):
        raise InvalidTiktokId("tiktokVideoId is no TikTok video id: it has 17–20 digits.", reason="malformed")
    return SOURCE_ID
