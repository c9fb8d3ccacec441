"""Containers and the files in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from recaster.api.call import Call
from recaster.api.errors import RangeNotSatisfiable
from recaster.api.files import send_object
from recaster.api.routing import Routes
from recaster.service.content import service
from recaster.service.content.schemas import ContainerView, ProgressView
from recaster.service.errors import NotFound

routes = Routes("content")

ContainerId = Annotated[str, Path(alias="containerId")]
AssetId = Annotated[str, Path(alias="assetId")]
_ASSET = "/v1/content/{containerId}/assets/{assetId}"


@routes.get("/v1/content/{containerId}", scope="content:read", answers=ContainerView, errors=(NotFound,))
def get_content(call: Call, container_id: ContainerId) -> ContainerView:
    """Show a container with its assets, overlays and measures."""
    return service.view(call.session, service.require_container(call.session, container_id))


@routes.get("/v1/content/{containerId}/progress", scope="content:read", answers=ProgressView, errors=(NotFound,))
def get_content_progress(call: Call, container_id: ContainerId) -> ProgressView:
    """Show how far a container is."""
    return service.progress_view(call.session, service.require_container(call.session, container_id))


@routes.route(
    "HEAD",
    _ASSET,
    scope="content:read",
    answers=None,
    errors=(NotFound, RangeNotSatisfiable),
    transaction=False,
    media_type="video/mp4",
)
@routes.get(
    _ASSET,
    scope="content:read",
    answers=None,
    errors=(NotFound, RangeNotSatisfiable),
    transaction=False,
    media_type="video/mp4",
)
def get_asset(call: Call, container_id: ContainerId, asset_id: AssetId) -> Response:
    """Download an asset, whole or in ranges."""
    with call.database.read(call.principal.organization_id) as session:
        asset = service.require_asset(session, container_id, asset_id)
    return send_object(
        call.request, call.storage, asset.object_key, size=asset.size_bytes, mime_type=asset.mime_type,
        checksum_sha256=asset.checksum_sha256, name=asset.id,
    )  # fmt: skip
