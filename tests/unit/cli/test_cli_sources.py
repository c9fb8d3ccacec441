"""The commands of sources on a database of their own, without a platform."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from recaster.cli import app
from recaster.errors import RecasterError
from recaster.infra.database import open_database
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.service.errors import InvalidTiktokId, NotFound
from recaster.service.fetching.model import OperatorSecret
from recaster.service.fetching.secrets import read_cookies

pytestmark = pytest.mark.unit

ID = "7301234567890123456"
COOKIE = ".tiktok.com\tTRUE\t/\tTRUE\t1999999999\tsid_tt\tcanary-value"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that name a project of an organization in a home of its own."""
    monkeypatch.setenv("RECASTER_HOME", str(tmp_path / "home"))
    run("keys", "mint", "--organization", "Tea")
    made = run("projects", "create", "--organization", "Tea", "Green tea").strip()
    return ["--organization", "Tea", "--project", made]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, RecasterError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def clip(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((96, 64, 3), np.uint8), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_file_is_added_listed_and_allowed(project: list[str], tmp_path: Path) -> None:
    file = clip(tmp_path / "clip.mp4")
    added = json.loads(
        run("sources", "add", *project, ID, "--file", str(file), "--note", "Ours.", "--author", "@ada", "--json")
    )
    assert (added["state"], added["width"], added["author"], added["rights"]["by"]) == ("ready", 64, "ada", "operator")
    (listed,) = json.loads(run("sources", "list", *project, "--json"))
    assert (listed["tiktokVideoId"], listed["reasons"] != []) == (ID, True)
    run("sources", "allow", *project, ID, "--basis", "licence", "--by", "Lena", "--note", "Contract 7.")
    assert ID in run("sources", "list", *project)


def test_what_is_wrong_is_said(project: list[str]) -> None:
    with pytest.raises(InvalidTiktokId, match="library"):
        run("sources", "add", *project, ID, "--note", "Ours.")
    with pytest.raises(RecasterError, match="17-20 digits"):
        run("sources", "add", *project, "12", "--note", "Ours.")
    with pytest.raises(NotFound):
        run("sources", "allow", *project, ID, "--note", "Ours.")
    with pytest.raises(RecasterError, match="nothing to search"):
        run("sources", "discover", *project)
    with pytest.raises(RecasterError, match="No search could be made"):
        run("sources", "discover", *project, "--keyword", "tea")


def test_cookies_are_stored_sealed_and_removed(project: list[str], tmp_path: Path) -> None:
    file = tmp_path / "cookies.txt"
    file.write_text(f"# Netscape HTTP Cookie File\n{COOKIE}\n.bank.example\tTRUE\t/\tTRUE\t1\tsession\tother-value\n")
    assert "1 cookies" in run("sources", "cookies", str(file))
    settings = Settings()
    database = open_database(settings)
    with database.system_read() as session:
        (row,) = session.query(OperatorSecret).all()
        assert "canary" not in row.sealed
        text = read_cookies(session, Sealer(settings.sealing_keys()))
    database.dispose()
    assert "canary-value" in text
    assert "other-value" not in text
    assert b"canary-value" not in (settings.home / "recaster.db").read_bytes()
    assert "removed" in run("sources", "cookies", "--forget")
    for bad in ("nothing", "", "a\tb\tc", ".bank.example\tTRUE\t/\tTRUE\t1\tsession\tother-value"):
        file.write_text(bad)
        with pytest.raises(RecasterError):
            run("sources", "cookies", str(file))


def test_the_state_of_the_platform_is_shown(project: list[str]) -> None:
    assert json.loads(run("sources", "status", "--json"))["asked"] is True
