"""Projects, influencers, media, social accounts, layers, sources and recommendations as a client sees them."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from recaster.api.app import create_app
from recaster.infra.database import Database, open_database
from recaster.infra.settings import Settings
from recaster.service.accounts.service import create_organization
from recaster.service.influencers import service as influencers
from recaster.service.influencers.model import Influencer
from recaster.service.keys.service import mint

pytestmark = pytest.mark.contract

TIKTOK_ID = "7300000000000000001"
GRANT = {
    "grantedBy": "Ada",
    "formats": ["video-remix"],
    "languages": ["en"],
    "territories": ["*"],
    "validFrom": "2020-01-01T00:00:00.000Z",
    "validTo": None,
    "evidenceSha256": "0" * 64,
    "revokedAt": None,
}


@dataclass
class Tenant:
    """A client with a key of its own organization."""

    http: TestClient
    organization_id: str
    token: str

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **options)

    def made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def project(self, **fields: Any) -> str:
        return str(self.made("/v1/projects", {"name": "Tea house", **fields})["id"])

    def influencer(self, project: str, **fields: Any) -> str:
        body = {"name": "Mia", "origin": "synthetic", **fields}
        return str(self.made(f"/v1/projects/{project}/influencers", body)["id"])

    def upload(self, project: str, content: bytes, **headers: str) -> Any:
        return self("POST", f"/v1/projects/{project}/media", files={"file": ("x", content)}, headers=headers)

    def add_source(self, project: str, content: bytes, **changes: Any) -> Any:
        fields = {"tiktokVideoId": TIKTOK_ID, "rightsNote": "Filmed by us.", **changes}
        headers = fields.pop("headers", {})
        return self(
            "POST", f"/v1/projects/{project}/sources", files={"file": ("x", content)}, data=fields, headers=headers
        )


@dataclass
class World:
    database: Database
    settings: Settings
    ours: Tenant
    theirs: Tenant
    key: Callable[..., str]


@pytest.fixture
def world(tmp_path: Path, empty_database: Path) -> Iterator[World]:
    shutil.copyfile(empty_database, tmp_path / "recaster.db")
    settings = Settings(home=tmp_path, max_image_bytes=100_000, max_video_bytes=200_000, max_video_seconds=2)
    database = open_database(settings)
    with TestClient(create_app(settings, database=database)) as http:

        def key(organization_id: str, *scopes: str) -> str:
            with database.system_write() as session:
                made = mint(
                    session, settings.pepper(), organization_id, name="test", scopes=scopes or ("*",), tier="partner"
                )
                return made.token

        with database.system_write() as session:
            ids = [create_organization(session, name, "partner").id for name in ("Ours", "Theirs")]
        ours, theirs = (Tenant(http, organization_id, key(organization_id)) for organization_id in ids)
        yield World(database, settings, ours, theirs, key)
    database.dispose()


def picture(side: int = 96, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(side).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def clip(tmp_path: Path, seconds: float = 0.5) -> bytes:
    target = tmp_path / f"clip-{seconds}.mp4"
    with av.open(str(target), "w") as output:
        stream = output.add_stream("h264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 128, "yuv420p"
        for index in range(int(seconds * 10)):
            image = np.full((128, 96, 3), index, dtype=np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())
    return target.read_bytes()


def code(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["X-Request-Id"] == answer.json()["error"]["requestId"]
    return str(answer.json()["error"]["code"])


def test_a_project_is_made_shown_changed_listed_and_archived(world: World) -> None:
    ours = world.ours
    full = {
        "name": "Tea house",
        "timezone": "Europe/Berlin",
        "primaryLanguage": "de-at",
        "appName": "Teapot",
        "appDescription": "Brews.",
        "tagline": "Slow down",
        "brandVoice": "warm",
        "audience": "Tea drinkers",
        "keywords": ["green tea"],
        "bannedWords": ["coffee"],
        "requiredTerms": ["Teapot"],
        "approvedFacts": ["Grown in Nepal."],
        "messageBank": {"de": {"hook": ["Erst mal Tee."]}},
        "metadata": {"crm": {"id": 7}},
    }
    made = ours.made("/v1/projects", full)
    identifier = made["id"]
    assert re.fullmatch(r"prj_[0-9a-f-]{36}", identifier)
    times = {name: made[name] for name in ("createdAt", "updatedAt")}
    assert made == {"id": identifier, **full, "primaryLanguage": "de-AT", **times}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["createdAt"])
    for spelling in (identifier, identifier.removeprefix("prj_")):
        assert ours("GET", f"/v1/projects/{spelling}").json() == made
    changed = ours("PATCH", f"/v1/projects/{identifier}", json={"tagline": None, "keywords": []})
    assert changed.status_code == 200
    assert changed.json() == {**made, "tagline": None, "keywords": [], "updatedAt": changed.json()["updatedAt"]}
    assert [item["id"] for item in ours("GET", "/v1/projects").json()["items"]] == [identifier]
    gone = ours("DELETE", f"/v1/projects/{identifier}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert code(ours("GET", f"/v1/projects/{identifier}"), 404) == "NOT_FOUND"
    assert ours("GET", "/v1/projects").json() == {"items": [], "nextCursor": None}


def test_a_project_needs_only_a_name_and_leaves_nothing_out(world: World) -> None:
    made = world.ours.made("/v1/projects", {"name": "Tea"})
    assert (made["timezone"], made["primaryLanguage"], made["brandVoice"]) == ("UTC", "en", None)
    assert (made["keywords"], made["messageBank"], made["metadata"]) == ([], {}, {})


def test_pages_go_from_new_to_old_without_gaps(world: World) -> None:
    made = [world.ours.project(name=f"Project {number}") for number in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = world.ours("GET", f"/v1/projects?limit=2{cursor}").json()
        seen += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert sorted(seen) == sorted(made)
    assert len(set(seen)) == 5
    for bad in ("limit=0", "limit=x", "cursor=nonsense"):
        assert code(world.ours("GET", f"/v1/projects?{bad}"), 422) == "VALIDATION"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "name"),
        ({"name": "ab"}, "name"),
        ({"name": "a" * 31}, "name"),
        ({"name": "Tea", "hook": "x"}, "hook"),
        ({"name": "Tea", "timezone": "Mars"}, "timezone"),
        ({"name": "Tea", "primaryLanguage": "en_US"}, "primaryLanguage"),
        ({"name": "Tea", "keywords": ["ok", 7]}, "keywords.1"),
        ({"name": "Tea", "metadata": {"x": "y" * 20_000}}, "metadata"),
    ],
)
def test_a_wrong_body_names_its_field(world: World, body: dict[str, Any], path: str) -> None:
    answer = world.ours("POST", "/v1/projects", json=body)
    assert code(answer, 422) == "VALIDATION"
    assert [issue["path"] for issue in answer.json()["error"]["details"]["issues"]] == [path]


def test_influencers_of_both_origins(world: World) -> None:
    ours = world.ours
    project = ours.project(primaryLanguage="de")
    person = ours.made(
        f"/v1/projects/{project}/influencers",
        {"name": "Ada", "gender": "female", "ageRange": "25-34", "origin": "consented_person", "consent": GRANT},
    )
    assert person == {
        "id": person["id"],
        "projectId": project,
        "name": "Ada",
        "gender": "female",
        "ageRange": "25-34",
        "brandVoice": None,
        "language": "de",
        "status": "pending",
        "imageUrl": None,
        "origin": "consented_person",
        "consent": GRANT,
        "referenceAssetIds": [],
        "lastError": None,
        "createdAt": person["createdAt"],
        "updatedAt": person["updatedAt"],
    }
    path = f"/v1/influencers/{person['id']}"
    revoked = ours("PATCH", path, json={"consent": {**GRANT, "revokedAt": "2026-01-01T02:00:00+02:00"}})
    assert revoked.json()["consent"]["revokedAt"] == "2026-01-01T00:00:00.000Z"
    assert code(ours("PATCH", path, json={"consent": None}), 422) == "VALIDATION"
    assert code(ours("PATCH", path, json={"origin": "synthetic"}), 422) == "VALIDATION"
    assert code(ours("PATCH", path, json={"status": "ready"}), 422) == "VALIDATION"
    synthetic = ours.influencer(project)
    listed = ours("GET", f"/v1/projects/{project}/influencers").json()["items"]
    assert {item["id"] for item in listed} == {person["id"], synthetic}
    assert ours("DELETE", path).status_code == 204
    assert code(ours("GET", path), 404) == "NOT_FOUND"
    for body in ({"origin": "synthetic", "consent": GRANT}, {"origin": "consented_person"}, {}):
        answer = ours("POST", f"/v1/projects/{project}/influencers", json={"name": "Mia", **body})
        assert code(answer, 422) == "VALIDATION"


def test_reference_images_start_one_job_that_makes_the_influencer_ready(world: World) -> None:
    ours = world.ours
    project = ours.project()
    influencer = ours.influencer(project)
    path = f"/v1/influencers/{influencer}/reference-images"
    content = picture()
    asset = ours.upload(project, content).json()["assetId"]
    assert code(ours("GET", f"/v1/influencers/{influencer}/image"), 404) == "NOT_FOUND"
    started = ours("POST", path, json={"assetIds": [asset]}, headers={"Idempotency-Key": "k1"})
    assert started.status_code == 202
    job = started.json()["jobId"]
    assert started.json() == {
        "jobId": job,
        "kind": "influencer_create",
        "status": "running",
        "containerIds": [],
        "locationUrl": f"/v1/jobs/{job}",
    }
    assert started.headers["Location"] == f"/v1/jobs/{job}"
    assert started.headers["Retry-After"] == "2"
    replay = ours("POST", path, json={"assetIds": [asset]}, headers={"Idempotency-Key": "k1"})
    assert (replay.status_code, replay.content) == (202, started.content)
    assert replay.headers["Idempotent-Replayed"] == "true"
    again = ours("POST", path, json={"assetIds": [asset]})
    assert code(again, 409) == "CONFLICT"
    assert again.json()["error"]["details"]["subcode"] == "INFLUENCER_TRAINING"
    assert again.json()["error"]["details"]["jobId"] == job
    shown = ours("GET", f"/v1/influencers/{influencer}").json()
    assert (shown["status"], shown["referenceAssetIds"]) == ("training", [asset])
    image = ours("GET", shown["imageUrl"])
    assert (image.content, image.headers["content-type"]) == (content, "image/jpeg")
    assert code(world.theirs("GET", shown["imageUrl"]), 404) == "NOT_FOUND"
    assert ours("GET", f"/v1/jobs/{job}").json()["kind"] == "influencer_create"
    with world.database.system_write() as session:
        row = session.get_one(Influencer, influencer)
        assert row.training_job_id == job
        influencers.mark_failed(
            session, row, code="INFLUENCER_UNUSABLE", message="No face.", details={"assetId": asset}
        )
    failed = ours("GET", f"/v1/influencers/{influencer}").json()
    error = {"code": "INFLUENCER_UNUSABLE", "message": "No face.", "details": {"assetId": asset}}
    assert (failed["status"], failed["lastError"]) == ("failed", error)
    assert ours("POST", path, json={"assetIds": [asset]}).status_code == 202


@pytest.mark.parametrize("asset_ids", [[], ["x"] * 21, ["a", "a"], [7], "med"])
def test_reference_images_are_1_to_20_different_ids(world: World, asset_ids: Any) -> None:
    influencer = world.ours.influencer(world.ours.project())
    answer = world.ours("POST", f"/v1/influencers/{influencer}/reference-images", json={"assetIds": asset_ids})
    assert code(answer, 422) == "VALIDATION"


def test_a_picture_and_a_video_become_assets(world: World, tmp_path: Path) -> None:
    project = world.ours.project()
    content = picture(kind="PNG")
    answer = world.ours.upload(project, content)
    assert answer.status_code == 201, answer.text
    asset = answer.json()
    assert re.fullmatch(r"med_[0-9a-f-]{36}", asset["assetId"])
    assert {**asset, "assetId": "", "checksumSha256": "", "createdAt": ""} == {
        "assetId": "",
        "kind": "image",
        "mimeType": "image/png",
        "sizeBytes": len(content),
        "width": 96,
        "height": 96,
        "durationMs": None,
        "checksumSha256": "",
        "createdAt": "",
    }
    film = world.ours.upload(project, clip(tmp_path)).json()
    assert (film["kind"], film["mimeType"], film["durationMs"]) == ("video", "video/mp4", 500)
    assert list(world.settings.folder("work").iterdir()) == []


def test_an_upload_is_idempotent_by_its_content(world: World) -> None:
    project = world.ours.project()
    first = world.ours.upload(project, picture(), **{"Idempotency-Key": "k"})
    replay = world.ours.upload(project, picture(), **{"Idempotency-Key": "k"})
    assert (replay.content, replay.headers["Idempotent-Replayed"]) == (first.content, "true")
    other = world.ours.upload(project, picture(80), **{"Idempotency-Key": "k"})
    assert code(other, 409) == "IDEMPOTENCY_CONFLICT"


def test_uploads_that_are_refused_leave_nothing(world: World, tmp_path: Path) -> None:
    ours, project = world.ours, world.ours.project()
    path = f"/v1/projects/{project}/media"
    assert code(ours.upload(project, b"GIF89a" + bytes(99)), 415) == "UNSUPPORTED_MEDIA_TYPE"
    assert code(ours("POST", path, json={"file": "x"}), 415) == "UNSUPPORTED_MEDIA_TYPE"
    assert code(ours.upload(project, picture(400, "PNG")), 413) == "PAYLOAD_TOO_LARGE"
    assert code(ours.upload(project, bytes(3_000_000)), 413) == "PAYLOAD_TOO_LARGE"
    assert code(ours.upload(project, picture()[:500]), 422) == "MEDIA_INVALID"
    assert code(ours.upload(project, clip(tmp_path, 3)), 422) == "MEDIA_INVALID"
    assert code(ours("POST", path, files={"other": ("x", picture())}), 422) == "VALIDATION"
    assert code(ours("POST", path, files={"file": ("x", picture())}, data={"note": "x"}), 422) == "VALIDATION"
    assert list(world.settings.folder("work").iterdir()) == []
    assert not [entry for entry in world.settings.folder("objects").rglob("*") if entry.is_file()]
    assert ours.upload(project, picture()).status_code == 201


def test_an_account_comes_with_its_layer_and_the_wiring_can_be_changed(world: World) -> None:
    ours, project = world.ours, world.ours.project()
    influencer = ours.influencer(project)
    layers = f"/v1/projects/{project}/layers"
    content = ours.made(layers, {"kind": "social_content", "config": {"influencerId": influencer}})
    assert content == {
        "id": content["id"],
        "projectId": project,
        "kind": "social_content",
        "name": None,
        "config": {"influencerId": influencer},
        "createdAt": content["createdAt"],
        "updatedAt": content["updatedAt"],
    }
    accounts = f"/v1/projects/{project}/social-accounts"
    account = ours.made(accounts, {"platform": "tiktok", "handle": "@tea.house"})
    layer_id = account["distributionLayerId"]
    assert (account["platform"], account["handle"], account["status"]) == ("tiktok", "tea.house", "connected")
    assert ours("GET", accounts).json()["items"] == [account]
    wired = ours("GET", f"{layers}/{layer_id}").json()
    assert wired["config"] == {"socialAccountId": account["id"], "contentLayerId": content["id"]}
    unwired = ours("PATCH", f"{layers}/{layer_id}", json={"name": "Main", "config": {"contentLayerId": None}})
    assert (unwired.json()["name"], unwired.json()["config"]["contentLayerId"]) == ("Main", None)
    assert (
        code(ours("PATCH", f"{layers}/{layer_id}", json={"config": {"influencerId": influencer}}), 422) == "VALIDATION"
    )
    assert code(ours("POST", accounts, json={"platform": "tiktok", "handle": "TEA.house"}), 409) == "CONFLICT"
    body = {"kind": "social_distribution", "config": {"socialAccountId": account["id"]}}
    assert code(ours("POST", layers, json=body), 409) == "CONFLICT"
    assert len(ours("GET", layers).json()["items"]) == 2
    assert ours("DELETE", f"{layers}/{layer_id}").status_code == 204
    assert ours("GET", accounts).json()["items"][0]["distributionLayerId"] is None
    assert ours.made(layers, body)["config"] == {"socialAccountId": account["id"], "contentLayerId": None}
    assert ours("DELETE", f"/v1/social-accounts/{account['id']}").status_code == 204
    assert ours("GET", accounts).json()["items"] == []
    assert [item["kind"] for item in ours("GET", layers).json()["items"]] == ["social_content"]


def test_a_source_is_added_once_and_recommended(world: World, tmp_path: Path) -> None:
    ours, project = world.ours, world.ours.project(keywords=["green tea"])
    film = clip(tmp_path)
    added = ours.add_source(
        project, film, author="@ada", caption="Green tea <b>first</b>", hashtags="#tea, slow", views="1000",
        likes="200", publishedAt="2026-01-01T00:00:00Z", rightsBasis="licence", rightsBy="Legal",
    )  # fmt: skip
    assert added.status_code == 201, added.text
    source = added.json()
    assert source["rights"] == {
        "basis": "licence", "note": "Filmed by us.", "by": "Legal", "at": source["createdAt"]
    }  # fmt: skip
    again = ours.add_source(project, film)
    assert code(again, 409) == "CONFLICT"
    assert again.json()["error"]["details"]["subcode"] == "SOURCE_EXISTS"
    answer = ours("GET", f"/v1/projects/{project}/content/source-recommendations").json()
    assert (answer["source"], answer["nextCursor"]) == ("portfolio", None)
    (item,) = answer["items"]
    assert item["tiktokVideoId"] == TIKTOK_ID
    assert item["stats"] == {"views": 1000, "likes": 200, "comments": None, "shares": None}
    assert 0 < item["score"] < 1
    assert item["reasons"]
    path = f"/v1/projects/{project}/content/source-recommendations"
    assert ours("GET", f"{path}?keyword=coffee").json()["items"] == []
    assert len(ours("GET", f"{path}?keyword=TEA&kind=video&limit=50").json()["items"]) == 1
    for bad in ("keyword=", f"keyword={'x' * 201}", "kind=audio", "limit=0", "limit=51"):
        assert code(ours("GET", f"{path}?{bad}"), 422) == "VALIDATION"


def test_a_source_upload_is_idempotent(world: World, tmp_path: Path) -> None:
    project, film = world.ours.project(), clip(tmp_path)
    first = world.ours.add_source(project, film, headers={"Idempotency-Key": "k"})
    replay = world.ours.add_source(project, film, headers={"Idempotency-Key": "k"})
    assert (replay.status_code, replay.content) == (201, first.content)
    other = world.ours.add_source(project, film, caption="new", headers={"Idempotency-Key": "k"})
    assert code(other, 409) == "IDEMPOTENCY_CONFLICT"


def test_sources_that_cannot_be_remixed_say_why(world: World, tmp_path: Path) -> None:
    ours, project, film = world.ours, world.ours.project(), clip(tmp_path)
    wrong = ours.add_source(project, film, tiktokVideoId="12", rightsNote="", hook="x")
    assert code(wrong, 422) == "VALIDATION"
    paths = {issue["path"] for issue in wrong.json()["error"]["details"]["issues"]}
    assert paths == {"tiktokVideoId", "rightsNote", "hook"}
    for content, reason in ((picture(), "not_a_video"), (clip(tmp_path, 3), "too_long")):
        answer = ours.add_source(project, content)
        assert code(answer, 422) == "INVALID_TIKTOK_ID"
        assert answer.json()["error"]["details"]["reason"] == reason
    assert code(ours.add_source(project, b"junk"), 415) == "UNSUPPORTED_MEDIA_TYPE"


def test_every_id_of_another_organization_answers_like_an_unknown_one(world: World, tmp_path: Path) -> None:
    ours, theirs = world.ours, world.theirs
    foreign = theirs.project()
    ids = {
        "project": foreign,
        "influencer": theirs.influencer(foreign),
        "asset": theirs.upload(foreign, picture()).json()["assetId"],
        "content": theirs.made(f"/v1/projects/{foreign}/layers", {"kind": "social_content"})["id"],
    }
    account = theirs.made(f"/v1/projects/{foreign}/social-accounts", {"platform": "x", "handle": "tea"})
    ids |= {"account": account["id"], "distribution": account["distributionLayerId"]}
    own = ours.project()
    own_influencer = ours.influencer(own)
    own_account = ours.made(f"/v1/projects/{own}/social-accounts", {"platform": "x", "handle": "tea"})
    own_layer = f"/v1/projects/{own}/layers/{own_account['distributionLayerId']}"
    content = str(ours.made(f"/v1/projects/{own}/layers", {"kind": "social_content"})["id"])
    named: list[tuple[str, str, str, dict[str, Any]]] = [
        ("project", "GET", "/v1/projects/{}", {}),
        ("project", "PATCH", "/v1/projects/{}", {"json": {"tagline": "x"}}),
        ("project", "DELETE", "/v1/projects/{}", {}),
        ("project", "GET", "/v1/projects/{}/influencers", {}),
        ("project", "POST", "/v1/projects/{}/influencers", {"json": {"name": "Mia", "origin": "synthetic"}}),
        ("project", "GET", "/v1/projects/{}/social-accounts", {}),
        ("project", "POST", "/v1/projects/{}/social-accounts", {"json": {"platform": "x", "handle": "a"}}),
        ("project", "GET", "/v1/projects/{}/layers", {}),
        ("project", "POST", "/v1/projects/{}/layers", {"json": {"kind": "social_content"}}),
        ("project", "GET", "/v1/projects/{}/content/source-recommendations", {}),
        ("project", "POST", "/v1/projects/{}/media", {"files": {"file": ("x", picture())}}),
        (
            "project", "POST", "/v1/projects/{}/sources",
            {"files": {"file": ("x", clip(tmp_path))}, "data": {"tiktokVideoId": TIKTOK_ID, "rightsNote": "Ours."}},
        ),
        ("influencer", "GET", "/v1/influencers/{}", {}),
        ("influencer", "PATCH", "/v1/influencers/{}", {"json": {"name": "Noa"}}),
        ("influencer", "DELETE", "/v1/influencers/{}", {}),
        ("influencer", "GET", "/v1/influencers/{}/image", {}),
        ("influencer", "POST", "/v1/influencers/{}/reference-images", {"json": {"assetIds": ["med_x"]}}),
        ("account", "DELETE", "/v1/social-accounts/{}", {}),
        ("distribution", "GET", f"/v1/projects/{own}/layers/{{}}", {}),
        ("distribution", "PATCH", f"/v1/projects/{own}/layers/{{}}", {"json": {"name": "x"}}),
        ("distribution", "DELETE", f"/v1/projects/{own}/layers/{{}}", {}),
    ]  # fmt: skip
    within: list[tuple[str, str, str, Callable[[str], dict[str, Any]]]] = [
        ("asset", "POST", f"/v1/influencers/{own_influencer}/reference-images", lambda given: {"assetIds": [given]}),
        (
            "account", "POST", f"/v1/projects/{own}/layers",
            lambda given: {"kind": "social_distribution", "config": {"socialAccountId": given}},
        ),
        (
            "influencer", "POST", f"/v1/projects/{own}/layers",
            lambda given: {"kind": "social_content", "config": {"influencerId": given}},
        ),
        ("content", "PATCH", own_layer, lambda given: {"config": {"contentLayerId": given}}),
        (
            "influencer", "PATCH", f"/v1/projects/{own}/layers/{content}",
            lambda given: {"config": {"influencerId": given}},
        ),
    ]  # fmt: skip
    before = world.theirs("GET", f"/v1/projects/{foreign}").json()
    for kind, method, path, options in named:
        compare(ours, method, ids[kind], lambda given, p=path, o=options: (p.format(given), o))
    for kind, method, path, body in within:
        compare(ours, method, ids[kind], lambda given, p=path, b=body: (p, {"json": b(given)}))
    assert theirs("GET", f"/v1/projects/{foreign}").json() == before
    assert theirs("GET", f"/v1/influencers/{ids['influencer']}").json()["name"] == "Mia"
    assert not [entry for entry in world.settings.folder("objects").rglob(ours.organization_id) if entry.is_dir()]


def compare(tenant: Tenant, method: str, foreign: str, request: Any) -> None:
    """Ask with a foreign, an unknown and a malformed id; the answers must not differ but in the id itself."""
    answers = []
    for given in (foreign, foreign[:-12] + "0" * 12, foreign[:-1] + "z"):
        path, options = request(given)
        answer = tenant(method, path, **options)
        assert code(answer, 404) == "NOT_FOUND", (method, path)
        shown = answer.json()["error"]
        shown.pop("requestId")
        answers.append(repr(shown).replace(given, "<id>"))
    assert answers[0] == answers[1] == answers[2]


SCOPES = [
    ("projects:write", "POST", "/v1/projects"),
    ("projects:read", "GET", "/v1/projects"),
    ("projects:read", "GET", "/v1/projects/{}"),
    ("projects:write", "PATCH", "/v1/projects/{}"),
    ("projects:write", "DELETE", "/v1/projects/{}"),
    ("influencers:write", "POST", "/v1/projects/{}/influencers"),
    ("influencers:read", "GET", "/v1/projects/{}/influencers"),
    ("influencers:read", "GET", "/v1/influencers/{}"),
    ("influencers:write", "PATCH", "/v1/influencers/{}"),
    ("influencers:write", "DELETE", "/v1/influencers/{}"),
    ("influencers:write", "POST", "/v1/influencers/{}/reference-images"),
    ("influencers:write", "POST", "/v1/projects/{}/media"),
    ("social:read", "GET", "/v1/projects/{}/social-accounts"),
    ("social:write", "POST", "/v1/projects/{}/social-accounts"),
    ("social:write", "DELETE", "/v1/social-accounts/{}"),
    ("layers:read", "GET", "/v1/projects/{}/layers"),
    ("layers:write", "POST", "/v1/projects/{}/layers"),
    ("layers:read", "GET", "/v1/projects/x/layers/{}"),
    ("layers:write", "PATCH", "/v1/projects/x/layers/{}"),
    ("layers:write", "DELETE", "/v1/projects/x/layers/{}"),
    ("content:read", "GET", "/v1/projects/{}/content/source-recommendations"),
    ("sources:write", "POST", "/v1/projects/{}/sources"),
]


def test_every_route_needs_its_own_scope(world: World) -> None:
    names = {scope for scope, _, _ in SCOPES}
    organization = world.ours.organization_id
    for scope, method, path in SCOPES:
        others = Tenant(world.ours.http, organization, world.key(organization, *(names - {scope})))
        refused = others(method, path.format("x"))
        assert code(refused, 403) == "FORBIDDEN_SCOPE", path
        assert refused.json()["error"]["details"]["requiredScope"] == scope
        holder = Tenant(world.ours.http, organization, world.key(organization, scope))
        assert holder(method, path.format("x")).status_code != 403


def test_a_cancelled_preparation_can_be_started_again(world: World) -> None:
    ours, project = world.ours, world.ours.project()
    path = f"/v1/influencers/{ours.influencer(project)}/reference-images"
    body = {"assetIds": [ours.upload(project, picture()).json()["assetId"]]}
    first = ours("POST", path, json=body).json()["jobId"]
    assert code(ours("POST", path, json=body), 409) == "CONFLICT"
    assert ours("POST", f"/v1/jobs/{first}/cancel").json() == {"jobId": first, "accepted": True, "reason": None}
    second = ours("POST", path, json=body)
    assert second.status_code == 202
    assert second.json()["jobId"] != first
