"""Projects."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from recaster.api.call import Call
from recaster.api.paging import PageQuery, paginate
from recaster.api.routing import Routes
from recaster.service.errors import NotFound
from recaster.service.projects import service
from recaster.service.projects.model import Project
from recaster.service.projects.schemas import ProjectCreate, ProjectPatch, ProjectView
from recaster.service.schemas import Page

routes = Routes("projects")

ProjectId = Annotated[str, Path(alias="projectId", description="`prj_<uuid>`, or the bare UUID.")]


@routes.post(
    "/v1/projects",
    scope="projects:write",
    status=201,
    answers=ProjectView,
    audit="project.created",
    links={
        name: {"projectId": "/id"}
        for name in (
            "get_project",
            "update_project",
            "archive_project",
            "create_influencer",
            "connect_social_account",
            "create_layer",
            "list_content",
            "get_review_policy",
            "update_review_policy",
            "create_video_remix",
            "list_source_recommendations",
        )
    },
)
def create_project(call: Call, body: ProjectCreate) -> ProjectView:
    """Add a project: a brand with its voice, its words and its facts."""
    return ProjectView.of(service.create(call.session, body))


@routes.get("/v1/projects", scope="projects:read", answers=Page[ProjectView])
def list_projects(call: Call, page: PageQuery) -> Page[ProjectView]:
    """List the projects that are not archived, newest first."""
    rows, cursor = paginate(call.session, service.listing(), Project, page)
    return Page[ProjectView](items=[ProjectView.of(row) for row in rows], next_cursor=cursor)


@routes.get("/v1/projects/{projectId}", scope="projects:read", answers=ProjectView, errors=(NotFound,))
def get_project(call: Call, project_id: ProjectId) -> ProjectView:
    """Show a project."""
    return ProjectView.of(service.require_project(call.session, project_id))


@routes.patch(
    "/v1/projects/{projectId}", scope="projects:write", answers=ProjectView, errors=(NotFound,), audit="project.updated"
)
def update_project(call: Call, project_id: ProjectId, body: ProjectPatch) -> ProjectView:
    """Change the fields that are sent."""
    return ProjectView.of(service.update(call.session, service.require_project(call.session, project_id), body))


@routes.delete(
    "/v1/projects/{projectId}",
    scope="projects:write",
    status=204,
    answers=None,
    errors=(NotFound,),
    audit="project.archived",
)
def archive_project(call: Call, project_id: ProjectId) -> None:
    """Archive a project; it and all that hangs on it answer 404 from then on."""
    service.archive(call.session, service.require_project(call.session, project_id))
