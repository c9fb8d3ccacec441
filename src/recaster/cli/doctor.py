"""`recaster doctor`: what is there, what is missing, and how to mend it."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import av
import sqlalchemy as sa
import typer

from recaster.cli.console import AsJson, show_json, show_table
from recaster.errors import RecasterError
from recaster.infra.database import create_engine
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.infra.storage import StorageError, open_storage

LEAST_FREE_BYTES = 2 * 10**9
"""Room that a handful of jobs needs for work files and results."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: Literal["ok", "warning", "broken"]
    found: str
    remedy: str = ""


def doctor(json: AsJson = False) -> None:
    """Look at everything the product needs. Exit code 0 when nothing is broken, 1 otherwise."""
    settings = Settings()
    findings = list(examine(settings))
    if json:
        show_json(
            {
                "findings": [
                    {"subject": f.subject, "state": f.state, "found": f.found, "remedy": f.remedy} for f in findings
                ],
                "settings": settings.describe(),
            }
        )
    else:
        rows = [(f.subject, f.state, f.found + (f" — {f.remedy}" if f.remedy else "")) for f in findings]
        show_table(("what", "state", "found"), rows)
        typer.echo()
        show_table(("setting", "value", "meaning"), _settings_rows(settings))
    raise typer.Exit(1 if any(finding.state == "broken" for finding in findings) else 0)


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield one finding after the other; an examination that fails is itself a finding."""
    yield _python()
    yield _home(settings)
    yield from _models(settings)
    yield _encoder()
    for subject, look in (("database", _database), ("object store", _storage)):
        yield _guarded(subject, look, settings)


def _settings_rows(settings: Settings) -> list[tuple[str, object, str]]:
    values = settings.describe()
    return [(name, values[name], field.description or "") for name, field in type(settings).model_fields.items()]


def _python() -> Finding:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("python", "ok", version)
    return Finding("python", "broken", version, "install Python 3.11, 3.12 or 3.13")


def _home(settings: Settings) -> Finding:
    settings.folder("work")
    free = shutil.disk_usage(settings.home).free
    found = f"{settings.home}, {free / 1e9:.0f} GB free"
    if free < LEAST_FREE_BYTES:
        return Finding("home", "warning", found, "free some space or set RECASTER_HOME to another disk")
    return Finding("home", "ok", found)


def _models(settings: Settings) -> Iterator[Finding]:
    for status in ModelStore(settings.folder("models")).status():
        found = f"{status.state}, {status.model.licence}, sha256 {status.model.sha256[:12]}…"
        if status.state == "ok" or (status.model.optional and status.state == "missing"):
            yield Finding(f"model {status.model.name}", "ok", f"{found}, optional" if status.model.optional else found)
        else:
            yield Finding(f"model {status.model.name}", "broken", found, "run `recaster models install`")


def _encoder() -> Finding:
    if "libx264" in av.codecs_available:
        return Finding("encoder", "ok", f"libx264, FFmpeg libraries of PyAV {av.__version__}")
    return Finding("encoder", "broken", "libx264 is not in this build of PyAV", "install the locked PyAV wheel")


def _database(settings: Settings) -> Finding:
    engine = create_engine(settings.resolved_database_url())
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    finally:
        engine.dispose()
    return Finding("database", "ok", engine.dialect.name)


def _storage(settings: Settings) -> Finding:
    open_storage(settings).exists("doctor")
    return Finding("object store", "ok", settings.resolved_storage_url())


def _guarded(subject: str, look: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return look(settings)
    except (RecasterError, StorageError, OSError, sa.exc.SQLAlchemyError) as error:
        return Finding(subject, "broken", str(error).splitlines()[0], "check its address in the settings")
