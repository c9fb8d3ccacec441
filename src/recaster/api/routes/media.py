"""Uploading pictures and videos."""

from __future__ import annotations

from starlette.responses import Response

from recaster.api.call import Call
from recaster.api.errors import invalid
from recaster.api.routes.projects import ProjectId
from recaster.api.routing import Routes
from recaster.api.uploads import UNBOUNDED_BODY, Upload, keep
from recaster.errors import MediaInvalid
from recaster.infra.database import OrganizationSession
from recaster.service.errors import NotFound
from recaster.service.media import service
from recaster.service.media.decoding import FileExaminer
from recaster.service.media.schemas import MediaAssetView
from recaster.service.projects.service import require_project

routes = Routes("media")


@routes.post(
    "/v1/projects/{projectId}/media",
    scope="influencers:write",
    status=201,
    answers=MediaAssetView,
    errors=(NotFound, MediaInvalid),
    transaction=False,
    form=True,
    max_body=UNBOUNDED_BODY,
    audit="media.uploaded",
)
def upload_media(call: Call, project_id: ProjectId, upload: Upload) -> Response:
    """Upload a picture (JPEG, PNG, WebP) or a video (MP4, MOV, WebM, Matroska) in the form part `file`."""
    if upload.fields:
        message = "is no field of this form; send the part file alone"
        raise invalid([{"path": name[:60], "message": message} for name in upload.fields])
    facts = FileExaminer(call.settings)(upload.file)
    key = keep(call, project_id, upload.file)

    def record(session: OrganizationSession) -> MediaAssetView:
        project = require_project(session, project_id)
        return MediaAssetView.of(service.record(session, project, upload.file, facts, key))

    return call.idempotent({"fileSha256": upload.file.checksum_sha256}, record)
