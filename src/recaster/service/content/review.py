"""Rules of review: which finished content waits for approval, and how it is approved or rejected.

not_required            the policy asks for nobody
pending ──▶ approved
        └─▶ rejected    both for good
"""

from __future__ import annotations

from typing import Any, Literal, cast

import sqlalchemy as sa

from recaster.infra.database import OrganizationSession
from recaster.service.content.model import Container, ContainerStatus
from recaster.service.content.schemas import ReviewPolicyPatch, ReviewPolicyView
from recaster.service.content.service import require_container
from recaster.service.errors import Conflict
from recaster.service.jobs.model import Job
from recaster.service.projects.model import Project
from recaster.service.webhooks import outbox
from recaster.service.webhooks.schemas import ContentEventData, EventName


def approval_of_new_content(session: OrganizationSession, project_id: str) -> Literal["not_required", "pending"]:
    """Say whether content that is finished now has to wait, by the project's policy. Call it when completing."""
    # Under a lock, so that of two that finish at once only one is the n-th.
    project = session.get_one(Project, project_id, with_for_update={"key_share": True}, populate_existing=True)
    if project.review_policy == "auto_approve":
        return "not_required"
    if project.review_policy == "review_all":
        return "pending"
    reviewed = session.scalar(
        sa.select(sa.func.count(Container.id)).where(
            Container.project_id == project_id, Container.approval_status != "not_required"
        )
    )
    return "pending" if (reviewed or 0) < (project.review_first_n or 0) else "not_required"


def tell_of_content(
    session: OrganizationSession, kind: EventName, container: Container, *, reason: str | None = None
) -> None:
    """Write the event that says what became of a container; its job is locked, because it numbers its events."""
    job = session.get_one(Job, container.job_id, with_for_update=True, populate_existing=True)
    data = ContentEventData(
        container_id=container.id, project_id=container.project_id, job_id=job.id, environment=cast(Any, job.environment), status=container.status,
        approval_status=container.approval_status, source_tiktok_id=container.source_tiktok_id, reason=reason,
    )  # fmt: skip
    outbox.tell(session, container.organization_id, kind, data, job=job, project_id=container.project_id)


def approve(session: OrganizationSession, container_id: str) -> Container:
    """Approve content that waits for it. Approving what is approved changes nothing.

    Raises:
        NotFound: there is no such container.
        Conflict: it is not finished (`CONTENT_NOT_READY`), needs no review (`REVIEW_NOT_REQUIRED`), or was rejected
            (`ALREADY_REJECTED`).
    """
    return _decide(session, container_id, "approved", None)


def reject(session: OrganizationSession, container_id: str, reason: str | None) -> Container:
    """Reject content that waits for approval. Rejecting what is rejected changes nothing.

    Raises:
        NotFound: there is no such container.
        Conflict: as `approve` says, and `ALREADY_APPROVED`.
    """
    return _decide(session, container_id, "rejected", reason)


def _decide(
    session: OrganizationSession, container_id: str, decision: Literal["approved", "rejected"], reason: str | None
) -> Container:
    container = require_container(session, container_id)
    session.refresh(container, with_for_update=True)
    if container.status != ContainerStatus.COMPLETED:
        raise Conflict(
            f"The content is {container.status}; only finished content can be {decision}.",
            subcode="CONTENT_NOT_READY",
            status=container.status,
        )
    if container.approval_status == decision:
        return container
    if container.approval_status == "not_required":
        raise Conflict(
            "The content needs no review: the project's policy did not ask for one when it was finished.",
            subcode="REVIEW_NOT_REQUIRED",
        )
    if container.approval_status != "pending":
        raise Conflict(
            f"The content was {container.approval_status} before; that is for good. Start a new remix.",
            subcode=f"ALREADY_{container.approval_status.upper()}",
        )
    container.approval_status = decision
    container.reviewed_at = session.now
    container.review_reason = reason
    kind: EventName = "content.approved" if decision == "approved" else "content.rejected"
    tell_of_content(session, kind, container, reason=reason)
    session.flush()
    return container


def policy_view(project: Project) -> ReviewPolicyView:
    """Show a project's policy."""
    return ReviewPolicyView.model_validate(
        {
            "project_id": project.id,
            "policy": project.review_policy,
            "first_n": project.review_first_n,
            "updated_at": project.updated_at,
        }
    )


def set_policy(session: OrganizationSession, project: Project, body: ReviewPolicyPatch) -> ReviewPolicyView:
    """Change the policy for content that is finished from now on; what waits goes on waiting."""
    project.review_policy = body.policy
    project.review_first_n = body.first_n
    project.updated_at = session.now
    session.flush()
    return policy_view(project)
