"""A job's source on its way into the library: fetched, examined, kept; put off, given up, refused."""

from __future__ import annotations

from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import sqlalchemy as sa
from fake_tiktok import FakeTiktok
from fastapi.testclient import TestClient

from recaster.api.app import create_app
from recaster.errors import MediaInvalid, SourceUnavailable
from recaster.infra.child import describe_error, rebuild_error
from recaster.infra.database import Database
from recaster.infra.egress_proxy import EgressProxy
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore
from recaster.remix.arrival import SourceArrival, put_off
from recaster.service.content.model import Container
from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching.errors import TryLater
from recaster.service.fetching.model import SourceRetry
from recaster.service.fetching.protocol import FetchedSource, SourceMetadata
from recaster.service.fetching.ytdlp import source_profiles
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Job
from recaster.service.sources.finding import SourceFinder
from recaster.service.sources.model import Source
from recaster.service.sources.opening import open_finder

pytestmark = pytest.mark.contract

ID = "7301234567890123999"


def clip(path: Path, frames: int = 10) -> Path:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        for index in range(frames):
            picture = np.full((96, 64, 3), index * 10, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path


class Platform:
    name = "yt-dlp"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.failures: list[Exception] = []

    def look_up(self, tiktok_video_id: str, *, seconds: float) -> SourceMetadata:
        return SourceMetadata(tiktok_video_id)

    def fetch(self, tiktok_video_id: str, folder: Path, **_: Any) -> FetchedSource:
        if self.failures:
            raise self.failures.pop(0)
        path = folder / "fetched.bin"
        path.write_bytes(self.content)
        metadata = SourceMetadata(tiktok_video_id, author="maya.studies", caption="tips", views=7)
        return FetchedSource(path, metadata, "yt-dlp/2026.10.26")

    def search(self, keyword: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        return ()

    def of_creator(self, handle: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        return ()


class Scene:
    """An accepted remix of an id that nobody has a file of."""

    def __init__(
        self, client: TestClient, auth: dict[str, str], ready: Any, settings: Settings, database: Database, storage: Any,
        world: Any, folder: Path,
    ) -> None:  # fmt: skip
        self.settings, self.database, self.folder = settings, database, folder
        self.platform = Platform(clip(folder / "clip.mp4").read_bytes())
        finder = SourceFinder(settings, database, local=lambda _: (), platform=self.platform)
        self.arrival = SourceArrival(settings, database, storage, finder)
        source_id = world.source(ready.project_id, ID)
        with database.system_write() as session:
            row = session.get_one(Source, source_id)
            row.state, row.object_key, row.checksum_sha256, row.rights_basis, row.rights_at = (
                "listed", None, None, None, None,
            )  # fmt: skip
            # Seen by the platform a moment ago: accepted without a question.
            row.seen_at = session.now
        accepted = client.post(ready.path, json={**ready.body, "tiktokVideoId": ID}, headers=auth)
        self.job_id = accepted.json()["jobId"]

    def bring(self) -> dict[str, Any]:
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return self.arrival.bring(self.job_id, scratch, progress=lambda done, total: None, is_cancelled=lambda: False)

    def source(self) -> Source:
        with self.database.system_read() as session:
            return session.scalars(sa.select(Source).where(Source.tiktok_video_id == ID)).one()

    def put_off(self, later: TryLater) -> tuple[int, float]:
        with self.database.system_write() as session:
            return put_off(session, self.settings, self.job_id, later)


@pytest.fixture
def scene(
    settings: Settings, database: Database, storage: ObjectStore, auth: dict[str, str], ready: Any, world: Any,
    tmp_path: Path,
) -> Any:  # fmt: skip
    chosen = settings.model_copy(update={"source_fetcher": "yt-dlp"})
    finder = SourceFinder(chosen, database, local=lambda _: (), platform=None)
    with TestClient(create_app(chosen, database=database, storage=storage, finder=finder)) as client:
        yield Scene(client, auth, ready, chosen, database, storage, world, tmp_path)


def test_a_fetched_file_is_examined_kept_and_credited(scene: Scene, storage: ObjectStore) -> None:
    brought = scene.bring()
    source = scene.source()
    assert (source.state, source.width, source.height, source.duration_ms) == ("ready", 64, 96, 400)
    assert (source.author, source.views, source.fetched_with) == ("maya.studies", 7, "yt-dlp/2026.10.26")
    assert brought == {
        "key": source.object_key, "sha256": source.checksum_sha256, "fetchedWith": "yt-dlp/2026.10.26"
    }  # fmt: skip
    assert b"".join(storage.read(brought["key"])) == scene.platform.content
    with scene.database.system_read() as session:
        assert session.scalars(sa.select(Container.source_credit)).all() == ["@maya.studies"]
    # A second job finds it in the library.
    scene.platform.failures = [AssertionError("asked again")]
    assert scene.bring() == brought


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"<html>not a video</html>", MediaInvalid), (b"\0\0\0\x18ftypmp42" + bytes(100), MediaInvalid)],
)
def test_what_is_no_video_is_refused_with_a_code_of_a_job(
    scene: Scene, content: bytes, expected: type[Exception]
) -> None:
    scene.platform.content = content
    with pytest.raises(expected) as caught:
        scene.bring()
    assert caught.value.code in jobs.FAILURE_CODES  # type: ignore[attr-defined]
    assert scene.source().state == "listed"


def test_a_refusal_stays_with_the_source_and_a_later_look_may_lift_it(scene: Scene) -> None:
    scene.platform.failures = [InvalidTiktokId("Private.", reason="private")]
    with pytest.raises(InvalidTiktokId):
        scene.bring()
    assert (scene.source().state, scene.source().refused_reason) == ("refused", "private")


def test_the_ladder_ends_with_source_unavailable_and_costs_no_attempt(scene: Scene) -> None:
    later = TryLater("Busy.", signal="transient")
    with scene.database.system_write() as session:
        session.get_one(Job, scene.job_id).attempts = 1
    assert [scene.put_off(later) for _ in range(4)] == [(1, 60.0), (2, 300.0), (3, 1800.0), (4, 7200.0)]
    with scene.database.system_read() as session:
        assert session.get_one(Job, scene.job_id).attempts == 0
        assert session.get_one(SourceRetry, scene.job_id).tries == 4
    with pytest.raises(SourceUnavailable) as caught:
        scene.put_off(later)
    assert type(caught.value) is SourceUnavailable
    assert caught.value.details["tries"] == 5


@pytest.mark.parametrize(
    ("later", "tries", "reason"),
    [
        (TryLater("Login.", signal="login", most_tries=3, then="login_required"), 3, "login_required"),
        (
            TryLater("100004.", signal="unsure", most_tries=2, then="unavailable", platform_code=100004),
            2,
            "unavailable",
        ),
    ],
)
def test_some_signals_become_a_no_after_a_few_tries(scene: Scene, later: TryLater, tries: int, reason: str) -> None:
    for _ in range(tries - 1):
        scene.put_off(later)
    with pytest.raises(InvalidTiktokId) as caught:
        scene.put_off(later)
    assert caught.value.details["reason"] == reason


def test_a_success_forgets_the_tries(scene: Scene) -> None:
    scene.put_off(TryLater("Busy.", signal="transient"))
    scene.bring()
    with scene.database.system_read() as session:
        assert session.get(SourceRetry, scene.job_id) is None


def test_the_wire_of_errors_keeps_what_the_ladder_needs() -> None:
    later = TryLater("Login.", signal="login", most_tries=3, then="login_required", platform_code=5)
    again = rebuild_error(describe_error(later))
    assert isinstance(again, TryLater)
    assert (again.signal, again.most_tries, again.then, again.details) == ("login", 3, "login_required", later.details)


def test_from_the_request_to_the_kept_file_with_yt_dlp_on_a_tiktok_of_the_tests_own(
    settings: Settings, database: Database, storage: ObjectStore, auth: dict[str, str], ready: Any, tmp_path: Path
) -> None:
    fake = FakeTiktok(tmp_path)
    fake.video(ID, clip(tmp_path / "clip.mp4").read_bytes())
    chosen = settings.model_copy(update={"source_fetcher": "yt-dlp", "source_ca_file": fake.ca_file})
    with (
        EgressProxy(source_profiles(chosen), resolver=fake.resolve, dial=fake.dial) as proxy,
        open_finder(chosen, database, storage, proxy=proxy) as finder,
        TestClient(create_app(chosen, database=database, storage=storage, finder=finder)) as client,
    ):
        accepted = client.post(ready.path, json={**ready.body, "tiktokVideoId": ID}, headers=auth)
        assert accepted.status_code == 202, accepted.text
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        brought = SourceArrival(chosen, database, storage, finder).bring(
            accepted.json()["jobId"], scratch, progress=lambda done, total: None, is_cancelled=lambda: False
        )
        container = client.get(f"/v1/content/{accepted.json()['containerIds'][0]}", headers=auth).json()
    assert brought["fetchedWith"] == f"yt-dlp/{version('yt-dlp')}"
    assert b"".join(storage.read(brought["key"])) == (tmp_path / "clip.mp4").read_bytes()
    assert container["sourceCredit"] == "@maya.studies"
    assert len(fake.requests(f"/video/{ID}")) == 2, "once for the request, once for the file"
    fake.close()
