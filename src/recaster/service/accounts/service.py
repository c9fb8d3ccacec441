"""Rules of organizations. They are made by the operator on the command line, not over HTTP."""

from __future__ import annotations

import sqlalchemy as sa

from recaster.infra.database import OrganizationSession
from recaster.infra.settings import RateTier
from recaster.service.accounts.model import Organization
from recaster.service.credits.model import Wallet
from recaster.service.errors import NotFound


def create_organization(session: OrganizationSession, name: str, tier: RateTier = "standard") -> Organization:
    """Make an organization with an empty wallet. Needs a system session."""
    organization = Organization(
        id=session.new_id("org"), name=name, tier=tier, suspended_at=None, created_at=session.now
    )
    session.add(organization)
    session.flush()
    session.add(Wallet.empty(organization.id))
    session.flush()
    return organization


def require_organization(session: OrganizationSession, organization_id: str) -> Organization:
    """Return the organization.

    Raises:
        NotFound: there is none with this id.
    """
    organization = session.get(Organization, organization_id)
    if organization is None:
        raise NotFound("organization", organization_id)
    return organization


def find_organization(session: OrganizationSession, name: str) -> Organization | None:
    """Return the oldest organization of this name, for the command line. Needs a system session."""
    return session.scalars(
        sa.select(Organization).where(Organization.name == name).order_by(Organization.created_at).limit(1)
    ).first()


def suspend(session: OrganizationSession, organization_id: str) -> None:
    """Refuse every request of the organization from now on, until `lift_suspension`."""
    require_organization(session, organization_id).suspended_at = session.now


def lift_suspension(session: OrganizationSession, organization_id: str) -> None:
    """Serve the organization again."""
    require_organization(session, organization_id).suspended_at = None
