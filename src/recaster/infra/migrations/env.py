"""How Alembic runs our scripts: on the connection it is handed, touching our tables only."""

from __future__ import annotations

from typing import Any

from alembic import context

from recaster.infra.database import TABLE_PREFIX


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Leave the engine's tables alone: without this an automatic script would drop them."""
    return kind != "table" or (name is not None and name.startswith(TABLE_PREFIX))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("metadata"),
    include_name=include_name,
    render_as_batch=True,
    version_table=f"{TABLE_PREFIX}migration",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
