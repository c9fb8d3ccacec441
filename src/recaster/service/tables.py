"""Loads every module that declares tables, so that `Base.metadata` is complete: for migrations and their test."""

from __future__ import annotations

import importlib
from typing import Final

import sqlalchemy as sa

from recaster.infra.database import Base

DOMAINS: Final = (
    "accounts", "keys", "credits", "jobs", "content", "idempotency",
    "projects", "influencers", "media", "social", "layers", "sources",
)  # fmt: skip
"""Service folders with a `model.py`."""


def complete_metadata() -> sa.MetaData:
    """Return the metadata with all tables of the service."""
    importlib.import_module("recaster.infra.lease")
    for domain in DOMAINS:
        importlib.import_module(f"recaster.service.{domain}.model")
    return Base.metadata
