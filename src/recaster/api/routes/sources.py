"""Adding sources to a project's library."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response

from recaster.api.call import Call
from recaster.api.errors import from_validation
from recaster.api.routes.projects import ProjectId
from recaster.api.routing import Routes
from recaster.api.uploads import UNBOUNDED_BODY, OptionalUpload, keep
from recaster.errors import MediaInvalid
from recaster.infra.database import OrganizationSession
from recaster.service.errors import Conflict, InvalidTiktokId, NotFound
from recaster.service.media.decoding import FileExaminer
from recaster.service.projects.service import require_project
from recaster.service.sources import service
from recaster.service.sources.finding import Verdict
from recaster.service.sources.schemas import SourceUpload, SourceView

routes = Routes("sources")


@routes.post(
    "/v1/projects/{projectId}/sources",
    scope="sources:write",
    status=201,
    answers=SourceView,
    errors=(NotFound, Conflict, InvalidTiktokId, MediaInvalid),
    transaction=False,
    form=True,
    max_body=UNBOUNDED_BODY,
    audit="source.added",
)
def add_source(call: Call, project_id: ProjectId, upload: OptionalUpload) -> Response:
    """Add a video with its TikTok id and on what basis it may be remixed: uploaded as `file`, or fetched by the id."""
    try:
        body = SourceUpload.model_validate(dict(upload.fields))
    except ValidationError as error:
        found = [{**issue, "loc": ("body", *issue["loc"])} for issue in error.errors()]
        raise from_validation(RequestValidationError(found)) from error
    actor = call.principal.api_key_id
    if not upload.has_file:
        return _list(call, project_id, body, upload.fields)
    facts = service.inspect_source(upload.file, FileExaminer(call.settings))
    key = keep(call, project_id, upload.file)

    def add(session: OrganizationSession) -> SourceView:
        project = require_project(session, project_id)
        return SourceView.of(service.add(session, project, body, upload.file, facts, key, actor=actor))

    return call.idempotent({"fileSha256": upload.file.checksum_sha256, **upload.fields}, add)


def _list(call: Call, project_id: str, body: SourceUpload, fields: Mapping[str, str]) -> Response:
    verdict: Verdict | None = None

    def add(session: OrganizationSession) -> SourceView:
        project = require_project(session, project_id)
        service.require_no_file(session, project, body.tiktok_video_id)
        if verdict is None:
            raise service.LookupNeeded(body.tiktok_video_id)
        return SourceView.of(
            service.add_by_id(session, call.settings, project, body, verdict.metadata, actor=call.principal.api_key_id)
        )

    try:
        return call.idempotent(dict(fields), add)
    except service.LookupNeeded as unknown:
        # Asked outside of the transaction: a platform takes its time. One that cannot say now is asked again by the job.
        verdict = call.finder.find(call.principal.organization_id, unknown.tiktok_video_id)
    return call.idempotent(dict(fields), add)
