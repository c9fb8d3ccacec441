"""Rules of projects: they are made, changed and archived; an archived one answers like one that never was."""

from __future__ import annotations

import sqlalchemy as sa

from recaster.infra.database import OrganizationSession
from recaster.infra.ids import parse_id
from recaster.service.errors import NotFound
from recaster.service.projects.model import Project
from recaster.service.projects.schemas import ProjectCreate, ProjectPatch


def create(session: OrganizationSession, body: ProjectCreate) -> Project:
    """Add a project."""
    values = body.model_dump()
    project = Project(
        id=session.new_id("prj"),
        custom=values.pop("metadata"),
        created_at=session.now,
        updated_at=session.now,
        archived_at=None,
        **values,
    )
    session.add(project)
    session.flush()
    return project


def listing() -> sa.Select[Project]:
    """All projects that are not archived, in no order yet: paging decides."""
    return sa.select(Project).where(Project.archived_at.is_(None))


def require_project(session: OrganizationSession, project_id: str) -> Project:
    """Return a project by `prj_<uuid>` or the bare UUID.

    Raises:
        NotFound: malformed, unknown, archived, or another organization's.
    """
    canonical = parse_id("prj", project_id, bare=True)
    project = session.scalar(listing().where(Project.id == canonical)) if canonical else None
    if project is None:
        raise NotFound("project", project_id)
    return project


def update(session: OrganizationSession, project: Project, body: ProjectPatch) -> Project:
    """Change the fields that were sent."""
    for field, value in body.model_dump(exclude_unset=True).items():
        setattr(project, "custom" if field == "metadata" else field, value)
    project.updated_at = session.now
    session.flush()
    return project


def archive(session: OrganizationSession, project: Project) -> None:
    """Hide a project and all that hangs on it. A job that does not render yet fails with a cause and costs nothing."""
    project.archived_at = session.now
    session.flush()
