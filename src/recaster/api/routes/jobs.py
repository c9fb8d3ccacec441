"""Following and cancelling jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path
from starlette.responses import Response

from recaster.api.call import Answer, Call
from recaster.api.routing import Routes
from recaster.api.streams import MEDIA_TYPE, job_stream
from recaster.service.errors import Conflict, NotFound
from recaster.service.jobs import service
from recaster.service.jobs.schemas import CancelView, JobView

routes = Routes("jobs")

JobId = Annotated[str, Path(alias="jobId")]


@routes.get("/v1/jobs/{jobId}", scope="jobs:read", answers=JobView, errors=(NotFound,), etag=True, quick=True)
def get_job(call: Call, job_id: JobId) -> Answer:
    """Show a job; with `If-None-Match` the answer is 304 while nothing has changed."""
    tag = service.etag(call.session, job_id)
    return Answer(lambda: service.view(call.session, service.require_job(call.session, job_id)), etag=tag)


@routes.get(
    "/v1/jobs/{jobId}/events",
    scope="jobs:read",
    answers=None,
    errors=(NotFound,),
    transaction=False,
    media_type=MEDIA_TYPE,
    also={204: "The job has ended and the client has seen its end; do not reconnect."},
)
def stream_job_events(
    call: Call,
    job_id: JobId,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="`id` of the last event that was seen.")
    ] = None,
) -> Response:
    """Follow a job as server-sent events: its state at every change, until it has ended."""
    return job_stream(
        call.database,
        call.services.streams,
        organization_id=call.principal.organization_id,
        api_key_id=call.principal.api_key_id,
        job_id=job_id,
        last_event_id=last_event_id,
    )


@routes.post(
    "/v1/jobs/{jobId}/cancel",
    scope="jobs:cancel",
    status=202,
    answers=CancelView,
    errors=(NotFound, Conflict),
    audit="job.canceled",
    also={200: "The job had ended before; `reason` says how."},
)
def cancel_job(call: Call, job_id: JobId) -> Answer:
    """Cancel a running job; its credits are released and nothing of it is kept."""
    outcome = service.cancel(call.session, job_id)
    return Answer(outcome, status=202 if outcome.accepted else 200)
