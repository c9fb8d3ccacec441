"""Rules of social accounts: connecting one provisions and wires its distribution layer, disconnecting removes it."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from recaster.infra.database import OrganizationSession
from recaster.infra.ids import parse_id
from recaster.service.errors import Conflict, NotFound
from recaster.service.layers.model import Layer
from recaster.service.projects.model import Project
from recaster.service.social.model import SocialAccount
from recaster.service.social.schemas import SocialAccountCreate


def connect(session: OrganizationSession, project: Project, body: SocialAccountCreate) -> tuple[SocialAccount, Layer]:
    """Add an account with its `social_distribution` layer.

    The layer is wired to the project's `social_content` layer if there is exactly one; with several only the client
    knows which, and sets `contentLayerId` itself.

    Raises:
        Conflict: this account is connected to the project already (`SOCIAL_ACCOUNT_EXISTS`).
    """
    account = SocialAccount(
        id=session.new_id("sa"),
        project_id=project.id,
        platform=body.platform,
        handle=body.handle,
        handle_key=body.handle.casefold(),
        status="connected",
        created_at=session.now,
        archived_at=None,
    )
    session.add(account)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"The {body.platform} account @{body.handle} is connected to this project already.",
            subcode="SOCIAL_ACCOUNT_EXISTS",
            platform=body.platform,
            handle=body.handle,
        ) from error
    content_layers = session.scalars(
        sa.select(Layer.id)
        .where(Layer.project_id == project.id, Layer.kind == "social_content", Layer.archived_at.is_(None))
        .limit(2)
    ).all()
    layer = Layer(
        id=session.new_id("lay"),
        project_id=project.id,
        kind="social_distribution",
        name=f"{body.platform} @{body.handle}",
        social_account_id=account.id,
        content_layer_id=content_layers[0] if len(content_layers) == 1 else None,
        influencer_id=None,
        created_at=session.now,
        updated_at=session.now,
        archived_at=None,
    )
    session.add(layer)
    session.flush()
    return account, layer


def listing(project_id: str | None = None) -> sa.Select[SocialAccount]:
    """All connected accounts, or one project's, whose project is not archived, in no order yet."""
    statement = (
        sa.select(SocialAccount)
        .join(Project, Project.id == SocialAccount.project_id)
        .where(SocialAccount.archived_at.is_(None), Project.archived_at.is_(None))
    )
    return statement if project_id is None else statement.where(SocialAccount.project_id == project_id)


def require_account(session: OrganizationSession, account_id: str, *, project_id: str | None = None) -> SocialAccount:
    """Return a connected account, of `project_id` if that is given.

    Raises:
        NotFound: malformed, unknown, disconnected, or of another project or organization.
    """
    canonical = parse_id("sa", account_id)
    account = session.scalar(listing(project_id).where(SocialAccount.id == canonical)) if canonical else None
    if account is None:
        raise NotFound("social account", account_id)
    return account


def distribution_layers(session: OrganizationSession, accounts: Iterable[SocialAccount]) -> dict[str, str]:
    """Return account id → id of its distribution layer, for those accounts that have one."""
    rows = session.execute(
        sa.select(Layer.social_account_id, Layer.id).where(
            Layer.social_account_id.in_([account.id for account in accounts]), Layer.archived_at.is_(None)
        )
    )
    return {account_id: layer_id for account_id, layer_id in rows if account_id is not None}


def disconnect(session: OrganizationSession, account: SocialAccount) -> None:
    """Take an account and its distribution layer away. Nothing that was made for it changes."""
    account.archived_at = session.now
    for layer in session.scalars(
        sa.select(Layer).where(Layer.social_account_id == account.id, Layer.archived_at.is_(None))
    ):
        layer.archived_at = session.now
    session.flush()
