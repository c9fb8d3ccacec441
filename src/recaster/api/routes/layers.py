"""Layers: the wiring of accounts and influencers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from recaster.api.call import Call
from recaster.api.paging import PageQuery, paginate
from recaster.api.routes.projects import ProjectId
from recaster.api.routing import Routes
from recaster.service.errors import Conflict, NotFound
from recaster.service.layers import service
from recaster.service.layers.model import Layer
from recaster.service.layers.schemas import LayerCreate, LayerPatch, LayerView
from recaster.service.projects.service import require_project
from recaster.service.schemas import Page

routes = Routes("layers")

LayerId = Annotated[str, Path(alias="layerId")]
_LIST = "/v1/projects/{projectId}/layers"
_ONE = "/v1/projects/{projectId}/layers/{layerId}"


@routes.post(
    _LIST,
    scope="layers:write",
    status=201,
    answers=LayerView,
    errors=(NotFound, Conflict),
    audit="layer.created",
    links={
        name: {"projectId": "$request.path.projectId", "layerId": "/id"}
        for name in ("get_layer", "update_layer", "archive_layer")
    },
)
def create_layer(call: Call, project_id: ProjectId, body: LayerCreate) -> LayerView:
    """Add a layer."""
    return LayerView.of(service.create(call.session, require_project(call.session, project_id), body))


@routes.get(_LIST, scope="layers:read", answers=Page[LayerView], errors=(NotFound,))
def list_layers(call: Call, project_id: ProjectId, page: PageQuery) -> Page[LayerView]:
    """List a project's layers, newest first."""
    project = require_project(call.session, project_id)
    rows, cursor = paginate(call.session, service.listing(project.id), Layer, page)
    return Page[LayerView](items=[LayerView.of(row) for row in rows], next_cursor=cursor)


@routes.get(_ONE, scope="layers:read", answers=LayerView, errors=(NotFound,))
def get_layer(call: Call, project_id: ProjectId, layer_id: LayerId) -> LayerView:
    """Show a layer."""
    project = require_project(call.session, project_id)
    return LayerView.of(service.require_layer(call.session, project, layer_id))


@routes.patch(_ONE, scope="layers:write", answers=LayerView, errors=(NotFound,), audit="layer.updated")
def update_layer(call: Call, project_id: ProjectId, layer_id: LayerId, body: LayerPatch) -> LayerView:
    """Change a layer's name or wiring."""
    layer = service.require_layer(call.session, require_project(call.session, project_id), layer_id)
    return LayerView.of(service.update(call.session, layer, body))


@routes.delete(_ONE, scope="layers:write", status=204, answers=None, errors=(NotFound,), audit="layer.archived")
def archive_layer(call: Call, project_id: ProjectId, layer_id: LayerId) -> None:
    """Take a layer away and unwire what hung on it."""
    service.archive(
        call.session, service.require_layer(call.session, require_project(call.session, project_id), layer_id)
    )
