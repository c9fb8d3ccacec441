"""Every module that declares tables: foreign keys need their targets, migrations need all."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import sqlalchemy as sa

from recaster.infra import lease, rates
from recaster.infra.database import Base
from recaster.service.accounts import model as accounts
from recaster.service.auditing import model as auditing
from recaster.service.content import model as content
from recaster.service.credits import model as credits
from recaster.service.fetching import model as fetching
from recaster.service.idempotency import model as idempotency
from recaster.service.influencers import model as influencers
from recaster.service.jobs import model as jobs
from recaster.service.keys import model as keys
from recaster.service.layers import model as layers
from recaster.service.media import model as media
from recaster.service.projects import model as projects
from recaster.service.social import model as social
from recaster.service.sources import model as sources
from recaster.service.webhooks import model as webhooks

TABLE_MODULES: Final[tuple[ModuleType, ...]] = (
    lease,
    rates,
    accounts,
    keys,
    credits,
    jobs,
    content,
    idempotency,
    projects,
    influencers,
    media,
    social,
    layers,
    sources,
    webhooks,
    auditing,
    fetching,
)
"""One per domain."""


def complete_metadata() -> sa.MetaData:
    """Return the metadata with all tables of the service."""
    return Base.metadata
