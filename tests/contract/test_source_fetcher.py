"""What every fetcher does alike, over the library, the operator's folder and yt-dlp on a TikTok of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_tiktok import FakeTiktok, Reply, status_page

from recaster.errors import Cancelled
from recaster.infra.database import Database
from recaster.infra.egress_proxy import EgressProxy
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore
from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching.folder import FolderFetcher
from recaster.service.fetching.library import LibraryFetcher
from recaster.service.fetching.protocol import SourceFetcher
from recaster.service.fetching.ytdlp import YtDlpFetcher, YtDlpOptions, source_profiles
from recaster.service.sources.model import Source

pytestmark = pytest.mark.contract

KNOWN, UNKNOWN = "7301234567890123456", "7301234567890123999"
CONTENT = bytes(range(256)) * 40


@dataclass(frozen=True)
class Case:
    """A fetcher that holds the video KNOWN by maya.studies with CONTENT, and no other."""

    fetcher: SourceFetcher


@pytest.fixture(params=["library", "folder", "yt-dlp"])
def case(request: pytest.FixtureRequest) -> Case:
    return request.getfixturevalue(f"{request.param.replace('-', '_')}_case")


@pytest.fixture
def folder_case(tmp_path: Path) -> Case:
    folder = tmp_path / "operator"
    folder.mkdir()
    (folder / f"{KNOWN}.mp4").write_bytes(CONTENT)
    facts = {"author": "maya.studies", "caption": "5 study habits #studytips", "durationMs": 8000, "views": 120_000}
    (folder / f"{KNOWN}.json").write_text(json.dumps(facts))
    (folder / f"{UNKNOWN}.mp4").symlink_to("/etc/hostname")
    return Case(FolderFetcher(folder))


@pytest.fixture
def library_case(
    database: Database, storage: ObjectStore, world: object, make_organization: Callable[..., str]
) -> Case:
    storage.put_bytes("sources/x.mp4", CONTENT)
    project = world.project()  # type: ignore[attr-defined]
    source = world.source(project, KNOWN)  # type: ignore[attr-defined]
    with database.system_write() as session:
        row = session.get_one(Source, source)
        row.author, row.caption, row.hashtags, row.views = "maya.studies", "5 study habits", ["studytips"], 120_000
        row.size_bytes = len(CONTENT)
    # Somebody else's library holds the other id.
    return Case(LibraryFetcher(database, storage, world.organization_id))  # type: ignore[attr-defined]


@pytest.fixture
def yt_dlp_case(tmp_path: Path) -> Iterator[Case]:
    fake = FakeTiktok(tmp_path)
    fake.video(KNOWN, CONTENT)
    fake.page_of(UNKNOWN, Reply(status_page(10204)))
    settings = Settings(home=tmp_path / "home", source_ca_file=fake.ca_file)
    with EgressProxy(source_profiles(settings), resolver=fake.resolve, dial=fake.dial) as proxy:
        yield Case(YtDlpFetcher(settings, proxy, options=lambda: YtDlpOptions.from_settings(settings)))
    fake.close()


def quiet(done: int, total: int) -> None:
    pass


def test_what_is_there_is_described_and_fetched_whole(case: Case, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    seen: list[tuple[int, int]] = []
    found = case.fetcher.look_up(KNOWN, seconds=20)
    fetched = case.fetcher.fetch(
        KNOWN, target, progress=lambda done, total: seen.append((done, total)), is_cancelled=lambda: False
    )
    for metadata in (found, fetched.metadata):
        assert (metadata.tiktok_video_id, metadata.kind, metadata.author) == (KNOWN, "video", "maya.studies")
        assert metadata.views == 120_000
        assert "studytips" in metadata.hashtags
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.path.parent == target
    assert fetched.fetched_with.startswith(case.fetcher.name)
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_what_is_not_there_is_not_fetchable(case: Case, tmp_path: Path) -> None:
    for ask in (
        lambda: case.fetcher.look_up(UNKNOWN, seconds=20),
        lambda: case.fetcher.fetch(UNKNOWN, tmp_path, progress=quiet, is_cancelled=lambda: False),
    ):
        with pytest.raises(InvalidTiktokId) as caught:
            ask()
        assert caught.value.details["reason"].startswith("unavailable")


def test_a_cancelled_fetch_ends(case: Case, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        case.fetcher.fetch(KNOWN, tmp_path, progress=quiet, is_cancelled=lambda: True)


@pytest.mark.parametrize("case", ["library", "folder"], indirect=True)
def test_a_search_finds_by_every_word_and_by_creator(case: Case) -> None:
    search = case.fetcher.search
    assert [found.tiktok_video_id for found in search("Study  habits", limit=5, seconds=5)] == [KNOWN]
    assert search("study cooking", limit=5, seconds=5) == ()
    assert [found.tiktok_video_id for found in case.fetcher.of_creator("maya.studies", limit=5, seconds=5)] == [KNOWN]
    assert case.fetcher.of_creator("somebody", limit=5, seconds=5) == ()
