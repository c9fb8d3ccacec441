from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from recaster.errors import InvalidInput, MediaInvalid
from recaster.infra.database import Database, OrganizationSession
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore, open_storage
from recaster.media.video.model import MediaLimits, VideoFacts
from recaster.media.video.probe import probe
from recaster.service.errors import Conflict, InvalidTiktokId, NotFound, PayloadTooLarge, UnsupportedMediaType
from recaster.service.influencers import service as influencers
from recaster.service.influencers.schemas import InfluencerCreate
from recaster.service.media import service as media
from recaster.service.media.inspection import InspectionLimits, UploadedFile, inspect, sniff
from recaster.service.projects import service as projects
from recaster.service.projects.model import Project
from recaster.service.projects.schemas import ProjectCreate
from recaster.service.recommendations import service as recommendations
from recaster.service.recommendations.vectors import SentenceModel
from recaster.service.sources import service as sources
from recaster.service.sources.model import Source
from recaster.service.sources.schemas import SourceUpload, SourceView

pytestmark = pytest.mark.unit

LIMITS = InspectionLimits(image_bytes=200_000, video_bytes=300_000, image_pixels=500_000)
TIKTOK_ID = "7300000000000000001"


def picture(width: int = 96, height: int = 128, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


def clip(path: Path, *, seconds: float = 0.5, container: str = "mp4") -> bytes:
    target = path / f"clip-{seconds}.{container}"
    with av.open(str(target), "w", format=container) as output:
        stream = output.add_stream("h264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 128, "yuv420p"
        for index in range(max(int(seconds * 10), 1)):
            image = np.full((128, 96, 3), index % 255, dtype=np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())
    return target.read_bytes()


def no_probe(path: Path, /) -> VideoFacts:
    raise AssertionError("a picture was probed as a video")


@pytest.fixture
def upload(tmp_path: Path) -> Callable[[bytes], UploadedFile]:
    def write(content: bytes) -> UploadedFile:
        path = tmp_path / hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
        return UploadedFile(path, len(content), hashlib.sha256(content).hexdigest())

    return write


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return open_storage(Settings(home=tmp_path / "home"))


@pytest.mark.parametrize(("kind", "mime_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_pictures_of_the_three_kinds_are_measured(
    upload: Callable[[bytes], UploadedFile], kind: str, mime_type: str
) -> None:
    facts = inspect(upload(picture(kind=kind)), LIMITS, no_probe)
    assert (facts.kind, facts.mime_type, facts.width, facts.height, facts.duration_ms) == (
        "image",
        mime_type,
        96,
        128,
        None,
    )


def test_a_turned_picture_is_measured_as_it_is_shown(upload: Callable[[bytes], UploadedFile]) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    facts = inspect(upload(picture(96, 128, exif=turned)), LIMITS, no_probe)
    assert (facts.width, facts.height) == (128, 96)


@pytest.mark.parametrize("container", ["mp4", "mov", "matroska"])
def test_a_video_is_measured_by_the_probe(
    upload: Callable[[bytes], UploadedFile], tmp_path: Path, container: str
) -> None:
    facts = inspect(upload(clip(tmp_path, container=container)), LIMITS, probe)
    assert (facts.kind, facts.width, facts.height) == ("video", 96, 128)
    assert facts.duration_ms == pytest.approx(500, abs=2)
    assert facts.mime_type.startswith("video/")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\x00\x00\x00\x18ftypheic" + bytes(40),
        b"\x00\x00\x00\x18ftypavif" + bytes(40),
        b"%PDF-1.7",
        b"\x1a\x45\xdf\xa3" + bytes(60),
    ],
)
def test_other_kinds_are_refused_by_their_first_bytes(upload: Callable[[bytes], UploadedFile], content: bytes) -> None:
    with pytest.raises(UnsupportedMediaType):
        inspect(upload(content), LIMITS, no_probe)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_limits_of_bytes_and_pixels_hold(upload: Callable[[bytes], UploadedFile]) -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        inspect(upload(picture(400, 400, kind="PNG")), LIMITS, no_probe)
    assert caught.value.details["limitBytes"] == 200_000
    flat = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(flat, "PNG")
    huge = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(huge, "PNG")
    for bomb in (flat, huge):
        with pytest.raises(MediaInvalid) as bombed:
            inspect(upload(bomb.getvalue()), LIMITS, no_probe)
        assert (bombed.value.details["field"], bombed.value.details["limit"]) == ("pixels", 500_000)
    with pytest.raises(MediaInvalid):
        inspect(upload(picture(20, 200)), LIMITS, no_probe)


def test_an_animated_picture_is_refused(upload: Callable[[bytes], UploadedFile]) -> None:
    frames = [Image.new("RGB", (96, 96), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    with pytest.raises(MediaInvalid, match="animated"):
        inspect(upload(buffer.getvalue()), LIMITS, no_probe)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_is_cut_off_is_refused(upload: Callable[[bytes], UploadedFile], kind: str) -> None:
    whole = picture(kind=kind)
    with pytest.raises(MediaInvalid):
        inspect(upload(whole[: len(whole) // 2]), LIMITS, no_probe)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_damaged_picture_is_measured_or_refused_but_never_breaks_the_service(
    upload: Callable[[bytes], UploadedFile], kind: str, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(picture(64, 64, kind=kind))
    for position, value in changes:
        content[position % len(content)] = value
    try:
        facts = inspect(upload(bytes(content)), LIMITS, probe)
    except (MediaInvalid, UnsupportedMediaType, PayloadTooLarge):
        return
    assert facts.width * facts.height <= LIMITS.image_pixels


def test_the_kind_of_a_file_does_not_depend_on_its_name(tmp_path: Path) -> None:
    disguised = tmp_path / "x.mp4"
    disguised.write_bytes(picture())
    assert sniff(disguised) == "image/jpeg"


def new_project(session: OrganizationSession, **fields: object) -> Project:
    return projects.create(session, ProjectCreate.model_validate({"name": "Tea house", **fields}))


def new_source(session: OrganizationSession, project: Project, file: UploadedFile, **fields: str) -> Source:
    facts = sources.inspect_source(file, lambda file: inspect(file, LIMITS, probe))
    body = SourceUpload.model_validate({"tiktokVideoId": TIKTOK_ID, "rightsNote": "Ours.", **fields})
    return sources.add(session, project, body, file, facts, "uploads/o/x", actor="key_1")


def test_a_file_is_stored_once_under_a_key_of_ours(
    upload: Callable[[bytes], UploadedFile], objects: ObjectStore
) -> None:
    file = upload(picture())
    key = media.store_upload(objects, "org_1", file)
    assert key == f"uploads/org_1/{file.checksum_sha256}"
    assert media.store_upload(objects, "org_1", file) == key
    assert b"".join(objects.read(key)) == file.path.read_bytes()


def test_reference_images_are_pictures_of_the_own_project_in_the_order_given(
    database: Database,
    organizations: tuple[str, str],
    upload: Callable[[bytes], UploadedFile],
    tmp_path: Path,
) -> None:
    with database.write(organizations[0]) as session:
        project = new_project(session)
        file, film = upload(picture()), upload(clip(tmp_path))
        facts = inspect(file, LIMITS, probe)
        pictures = [media.record(session, project, file, facts, f"uploads/o/{index}") for index in range(3)]
        video = media.record(session, project, film, inspect(film, LIMITS, probe), "uploads/o/film")
        other = media.record(session, new_project(session), file, facts, "uploads/o/other")
        influencer = influencers.create(
            session, project, InfluencerCreate.model_validate({"name": "Mia", "origin": "synthetic"})
        )
        order = [pictures[2].id, pictures[0].id]
        influencers.set_reference_images(session, influencer, order)
        assert [asset.id for asset in influencers.reference_assets(session, influencer)] == order
        with pytest.raises(InvalidInput, match="video"):
            influencers.set_reference_images(session, influencer, [pictures[0].id, video.id])
        with pytest.raises(InvalidInput, match="twice"):
            influencers.set_reference_images(session, influencer, [order[0], "med_" + order[0][4:].upper()])
        for unknown in (other.id, "med_nonsense", "../../etc/passwd"):
            with pytest.raises(NotFound):
                influencers.set_reference_images(session, influencer, [unknown])
    with database.read(organizations[1]) as session, pytest.raises(NotFound):
        media.get_all(session, project.id, order)


def test_a_source_is_found_by_its_id_in_its_own_project_only(
    session: OrganizationSession, upload: Callable[[bytes], UploadedFile], tmp_path: Path
) -> None:
    project, other = new_project(session), new_project(session)
    source = new_source(session, project, upload(clip(tmp_path)), author="@ada", publishedAt="2026-11-01T00:00:00Z")
    settings = Settings(home=tmp_path, source_fetcher="library")
    assert sources.resolve(session, settings, project, TIKTOK_ID) is source
    assert source.object_key == "uploads/o/x"
    view = SourceView.of(source).model_dump(mode="json")
    assert view["url"] == f"https://www.tiktok.com/@ada/video/{TIKTOK_ID}"
    assert view["rights"] == {
        "basis": "operator_statement", "note": "Ours.", "by": "key_1", "at": "2026-11-24T12:00:00.000Z"
    }  # fmt: skip
    for where, asked, reason in [
        (project, "7300000000000000002", "unavailable"),
        (other, TIKTOK_ID, "unavailable"),
        (project, "730", "malformed"),
        (project, "７３０００００００００００００００００１", "malformed"),
    ]:
        with pytest.raises(InvalidTiktokId) as caught:
            sources.resolve(session, settings, where, asked)
        assert caught.value.details["reason"] == reason


def test_a_tiktok_id_is_taken_once_in_a_project(
    database: Database, organizations: tuple[str, str], upload: Callable[[bytes], UploadedFile], tmp_path: Path
) -> None:
    file = upload(clip(tmp_path))
    with database.write(organizations[0]) as session:
        project = new_project(session)
        new_source(session, project, file)
        new_source(session, new_project(session), file)
    with pytest.raises(Conflict) as caught, database.write(organizations[0]) as session:
        new_source(session, project, file)
    assert caught.value.details == {"subcode": "SOURCE_EXISTS", "tiktokVideoId": TIKTOK_ID}


def test_a_source_that_is_no_video_or_too_long_is_refused_in_the_contract_s_words(
    upload: Callable[[bytes], UploadedFile], tmp_path: Path
) -> None:
    def short_probe(path: Path, /) -> VideoFacts:
        return probe(path, MediaLimits(duration=Fraction(1, 4)))

    with pytest.raises(InvalidTiktokId) as caught:
        sources.inspect_source(upload(picture()), lambda file: inspect(file, LIMITS, no_probe))
    assert caught.value.details["reason"] == "not_a_video"
    with pytest.raises(InvalidTiktokId) as caught:
        sources.inspect_source(upload(clip(tmp_path)), lambda file: inspect(file, LIMITS, short_probe))
    assert caught.value.details["reason"] == "too_long"
    broken = clip(tmp_path)[:400]
    with pytest.raises(MediaInvalid):
        sources.inspect_source(upload(broken), lambda file: inspect(file, LIMITS, probe))


def test_recommendations_are_the_ranked_library_of_the_project(
    session: OrganizationSession, upload: Callable[[bytes], UploadedFile], tmp_path: Path
) -> None:
    project = new_project(session, keywords=["green tea"])
    file = upload(clip(tmp_path))
    new_source(session, project, file, caption="My cat", tiktokVideoId="7300000000000000001")
    new_source(
        session, project, file, caption="How to brew green tea", views="1000", tiktokVideoId="7300000000000000002"
    )
    new_source(session, new_project(session), file, caption="green tea", tiktokVideoId="7300000000000000003")
    best = recommendations.from_library(session, project, vectors=SentenceModel(), keyword=None, kind="mixed", limit=20)
    assert [item.tiktok_video_id[-1] for item in best.items] == ["2", "1"]
    assert best.source == "portfolio"
    wire = best.items[0].model_dump(mode="json")
    assert set(wire) == {
        "tiktokVideoId", "kind", "url", "author", "caption", "hashtags", "thumbnailUrl", "durationMs", "stats",
        "publishedAt", "score", "reasons",
    }  # fmt: skip
    assert wire["stats"] == {"views": 1000, "likes": None, "comments": None, "shares": None}
    cats = recommendations.from_library(session, project, vectors=SentenceModel(), keyword="cat", kind="video", limit=1)
    assert [item.tiktok_video_id[-1] for item in cats.items] == ["1"]
    assert (
        recommendations.from_library(
            session, project, vectors=SentenceModel(), keyword=None, kind="slideshow", limit=20
        ).items
        == []
    )
    assert (
        len(
            recommendations.from_library(
                session, project, vectors=SentenceModel(), keyword=None, kind="mixed", limit=1
            ).items
        )
        == 1
    )
