"""Migrations of our tables with Alembic, carried in the package and run on every start."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from recaster.infra.database import TABLE_PREFIX, Database


def alembic_config() -> Config:
    """Return the configuration that points at the packaged scripts."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(database: Database) -> None:
    """Bring the tables to the newest version. Does nothing when they are; safe when several processes start at once."""
    with database.write_engine.begin() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7264911)")
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current_revision(database: Database) -> str | None:
    """Return the version of the tables as they are, None for an empty database."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(
            connection, opts={"version_table": f"{TABLE_PREFIX}migration"}
        ).get_current_revision()


@cache
def newest_revision() -> str | None:
    """Return the version that this package needs."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()
