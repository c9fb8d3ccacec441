"""`recaster doctor`: what is there, what is missing, and how to mend it."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import sqlalchemy as sa
import typer

from recaster.cli.console import AsJson, show_json, show_table
from recaster.errors import RecasterError
from recaster.infra.database import Database, create_engine
from recaster.infra.isolation import examine_isolation
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.infra.storage import StorageError, open_storage
from recaster.media.faces.neural import declared_engines, execution_providers, load_engine, read_declaration
from recaster.media.overlays.fonts import CJK_EXTRA, cjk_font_file
from recaster.media.overlays.tesseract import find_tesseract
from recaster.remix.face_engines import ONNX, FaceChoice
from recaster.service.fetching import breaker
from recaster.service.fetching.ytdlp import installed_versions

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
    yield from _face_engines(settings)
    yield _encoder()
    yield _other_scripts()
    yield _cjk_letters()
    yield from _isolation(settings)
    yield from _sources(settings)
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
            yield Finding(f"model {status.model.name}", "broken", found, status.model.remedy)


def _face_engines(settings: Settings) -> Iterator[Finding]:
    """What the operator added and what the settings chose; a chosen engine that cannot be used is broken."""
    choice = FaceChoice.of(settings)
    chosen = {choice.swapper.removeprefix(ONNX), choice.restorer, choice.parser}
    folder = Path(choice.folder)
    described = list(declared_engines(folder))
    for name in described:
        use = "in use" if name in chosen else "not chosen"
        try:
            declared = read_declaration(folder, name)
            load_engine(folder, name, declared.kind, choice.allowed)
        except RecasterError as error:
            state: Literal["warning", "broken"] = "broken" if name in chosen else "warning"
            yield Finding(f"face engine {name}", state, f"{use}: {error.message}", "see docs/face-generators.md")
        else:
            licences = ", ".join(sorted({file.licence for file in declared.files}))
            digest = declared.network.sha256[:12]
            yield Finding(f"face engine {name}", "ok", f"{declared.kind}, {use}, {licences}, sha256 {digest}…")
    try:
        names = ", ".join(f"{part} {name}" for part, name in choice.names().items())
    except RecasterError as error:
        yield Finding("face engines", "broken", error.message, "change the settings or see docs/face-generators.md")
    else:
        yield Finding("face engines", "ok", f"{names}; networks run on {execution_providers(choice.device)[0]}")


def _encoder() -> Finding:
    if "libx264" in av.codecs_available:
        return Finding("encoder", "ok", f"libx264, FFmpeg libraries of PyAV {av.__version__}")
    return Finding("encoder", "broken", "libx264 is not in this build of PyAV", "install the locked PyAV wheel")


def _cjk_letters() -> Finding:
    try:
        path = cjk_font_file()
    except RecasterError as error:
        return Finding("Chinese, Japanese, Korean", "broken", error.message)
    if path is not None:
        return Finding("Chinese, Japanese, Korean", "ok", f"new words are set in {path.name}, OFL-1.1")
    return Finding(
        "Chinese, Japanese, Korean",
        "warning",
        "no font for their letters is installed: such text is found, read and erased, but no new words are set in it",
        f"pip install 'recaster[{CJK_EXTRA}]', 33 MB",
    )


def _other_scripts() -> Finding:
    reader = find_tesseract()
    if reader is not None:
        return Finding("other scripts", "ok", f"Tesseract reads {', '.join(reader.languages)}, less surely than Latin")
    return Finding(
        "other scripts",
        "warning",
        "Tesseract with one of its languages for Cyrillic, Arabic, Devanagari, Thai or Korean is not installed: such text "
        "is found and erased, but not read",
        "install for example the Debian packages tesseract-ocr and tesseract-ocr-rus",
    )


_STEPS = {
    "limits": "memory, time and file size are bounded",
    "privileges": "no rights can be gained",
    "namespaces": "no network but its own",
    "files": "reads and writes only what it was given",
    "system calls": "no sockets, programs or mounts",
}
"""What each step of the isolation means, in the words of an operator."""


def _isolation(settings: Settings) -> Iterator[Finding]:
    try:
        isolation = examine_isolation()
    except RecasterError as error:
        yield Finding("isolation", "broken", error.message, "untrusted files cannot be examined at all")
        return
    for step in isolation.steps:
        subject = f"isolation: {step.name}"
        if step.holds:
            yield Finding(subject, "ok", _STEPS[step.name])
        else:
            state: Literal["warning", "broken"] = "broken" if settings.isolation == "strict" else "warning"
            yield Finding(
                subject,
                state,
                f"does not hold: {step.reason}",
                "allow unprivileged user namespaces, Landlock (Linux 5.13) and seccomp, or run on a machine that does",
            )


def _sources(settings: Settings) -> Iterator[Finding]:
    if settings.source_fetcher == "library":
        yield Finding("sources", "ok", "from the library only; unknown TikTok ids are refused")
        return
    versions = installed_versions()
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    if "yt-dlp" not in versions:
        yield Finding("sources", "broken", "yt-dlp is not installed", "pip install --upgrade 'yt-dlp[curl-cffi]'")
        return
    if settings.source_impersonate and "curl-cffi" not in versions:
        yield Finding(
            "sources", "warning", f"{shown}, which cannot imitate a browser", "pip install 'yt-dlp[curl-cffi]'"
        )
    else:
        yield Finding("sources", "ok", shown)
    if not settings.require_source_rights and not settings.source_rights_statement:
        yield Finding(
            "source rights",
            "warning",
            "fetched videos are remixed although nobody has said on what basis",
            "set RECASTER_REQUIRE_SOURCE_RIGHTS=true, or RECASTER_SOURCE_RIGHTS_STATEMENT",
        )
    yield _guarded("platform", _platform, settings)


def _platform(settings: Settings) -> Finding:
    engine = create_engine(settings.resolved_database_url())
    try:
        if not sa.inspect(engine).has_table("vr_source_breaker"):
            return Finding("platform", "ok", "never asked")
        with Database(engine).system_read() as session:
            state = breaker.state_of(session, settings.source_fetcher)
    finally:
        engine.dispose()
    if state is None:
        return Finding("platform", "ok", "asked without restriction")
    return Finding(
        "platform",
        "warning",
        f"not asked since {state.opened_at:%d %b %H:%M} UTC: {state.reason}",
        "a newer yt-dlp, cookies or a proxy usually help; it is tried every five minutes",
    )


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
