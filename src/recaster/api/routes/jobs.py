"""Following and cancelling jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from recaster.api.call import Answer, Call
from recaster.api.routing import Routes
from recaster.service.errors import Conflict, NotFound
from recaster.service.jobs import service
from recaster.service.jobs.schemas import CancelView, JobView

routes = Routes("jobs")

JobId = Annotated[str, Path(alias="jobId")]


@routes.get("/v1/jobs/{jobId}", scope="jobs:read", answers=JobView, errors=(NotFound,), quick=True)
def get_job(call: Call, job_id: JobId) -> Answer:
    """Show a job; with `If-None-Match` the answer is 304 while nothing has changed."""
    job = service.require_job(call.session, job_id)
    return Answer(lambda: service.view(call.session, job), etag=service.etag(job))


@routes.post(
    "/v1/jobs/{jobId}/cancel", scope="jobs:cancel", status=202, answers=CancelView, errors=(NotFound, Conflict)
)
def cancel_job(call: Call, job_id: JobId) -> Answer:
    """Cancel a running job; its credits are released and nothing of it is kept."""
    outcome = service.cancel(call.session, job_id)
    return Answer(outcome, status=202 if outcome.accepted else 200)
