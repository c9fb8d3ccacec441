"""What the proofs from the OpenAPI document need: its operations, bodies that are accepted, and a tenant with one of everything.

A route whose path names a new kind of id, or that takes a new body, makes them fail until it is named here.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
import structlog
from fastapi.testclient import TestClient
from PIL import Image
from worlds import TIKTOK_ID, World

from recaster.infra.storage import ObjectStore
from recaster.service.content.model import Asset
from recaster.service.media.model import MediaAsset
from recaster.service.remixes.completion import Completion, NewAsset, complete

Document = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """One operation of the document."""

    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    @property
    def open(self) -> bool:
        """Whether it needs no key."""
        return "security" not in self.described

    @property
    def parameters(self) -> list[str]:
        """Names of the ids in its path."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def body_schema(self) -> Mapping[str, Any] | None:
        """Schema of its JSON body."""
        content = self.described.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("schema")

    @property
    def takes_file(self) -> bool:
        """Whether its body is a form with a file."""
        return "multipart/form-data" in self.described.get("requestBody", {}).get("content", {})

    def at(self, ids: Mapping[str, str]) -> str:
        """The path with its ids."""
        return self.path.format(**ids)


def hush() -> None:
    """Let the log say errors only: writing a line per request would take most of the time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def routes(document: Document) -> Iterator[Route]:
    """All operations; removals last and the project's after all, so that what they remove is there for the others."""
    found = [
        Route(method.upper(), path, described)
        for path, item in document["paths"].items()
        for method, described in item.items()
    ]
    yield from sorted(found, key=lambda route: (*_harm(route), route.name))


def _harm(route: Route) -> tuple[bool, bool, bool]:
    return (
        route.method == "DELETE" and route.path == "/v1/projects/{projectId}",
        route.method == "DELETE",
        route.path.endswith(("/kill", "/rotate")),
    )


def bodies(ids: Mapping[str, str]) -> dict[str, Any]:
    """Operation → a body that names every id that it can name."""
    webhook = {"url": "https://example.com/hook", "events": ["job.completed"]}
    return {
        "POST /v1/api-keys": {"name": "other", "scopes": ["jobs:read"]},
        "POST /v1/projects": {"name": "Another"},
        "PATCH /v1/projects/{projectId}": {"tagline": "New"},
        "PATCH /v1/projects/{projectId}/content-review-policy": {"policy": "review_all"},
        "POST /v1/projects/{projectId}/content/video-remix": {
            "tiktokVideoId": TIKTOK_ID, "influencerId": ids["influencerId"], "socialAccountId": ids["socialAccountId"],
        },
        "POST /v1/projects/{projectId}/influencers": {"name": "Eve", "origin": "synthetic"},
        "PATCH /v1/influencers/{influencerId}": {"name": "Eva"},
        "POST /v1/influencers/{influencerId}/reference-images": {"assetIds": [ids["mediaId"]]},
        "POST /v1/projects/{projectId}/layers": {
            "kind": "social_distribution",
            "config": {"socialAccountId": ids["bareAccountId"], "contentLayerId": ids["layerId"]},
        },
        "PATCH /v1/projects/{projectId}/layers/{layerId}": {"config": {"influencerId": ids["influencerId"]}},
        "POST /v1/projects/{projectId}/social-accounts": {"platform": "tiktok", "handle": "@another"},
        "POST /v1/content/{containerId}/reject": {"reason": "No"},
        "POST /v1/webhook-endpoints": {**webhook, "projectId": ids["projectId"]},
        "PATCH /v1/webhook-endpoints/{endpointId}": webhook,
    }  # fmt: skip


def send(client: TestClient, route: Route, path: str, body: Any, headers: Mapping[str, str]) -> Any:
    """Send a request as its route wants it: with a JSON body, a form with a picture, or nothing."""
    if route.takes_file:
        picture = io.BytesIO()
        Image.new("RGB", (64, 64)).save(picture, "PNG")
        return client.request(route.method, path, files={"file": ("x.png", picture.getvalue())}, headers=headers)
    return client.request(route.method, path, json=body, headers=headers)


NO_ID_OF_OURS: Final = frozenset({"tiktokVideoId"})
"""Fields that end like ids and are none of this system's."""


def named_ids(body: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where in a body an id of ours stands, and the id."""
    if isinstance(body, dict):
        for key, value in body.items():
            if key not in NO_ID_OF_OURS:
                yield from named_ids(value, (*path, key))
    elif isinstance(body, list):
        for number, value in enumerate(body):
            yield from named_ids(value, (*path, number))
    elif isinstance(body, str) and path and re.search(r"Ids?$", next(s for s in reversed(path) if isinstance(s, str))):
        yield path, body


def furnish(
    world: World, client: TestClient, headers: Mapping[str, str], storage: ObjectStore, name: str
) -> dict[str, str]:
    """Make one of everything for the world's organization and return name of the path parameter → id."""

    def post(path: str, body: Any = None) -> Any:
        answer = client.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    project_id = world.project(name)
    influencer_id = world.influencer(project_id)
    world.source(project_id)
    account_id = world.account(project_id)
    layer_id = world.layer(project_id, influencer=influencer_id)
    world.layer(project_id, account=account_id, content=layer_id)
    ids = {
        "projectId": project_id, "influencerId": influencer_id, "socialAccountId": account_id, "layerId": layer_id,
        "bareAccountId": world.account(project_id), "mediaId": _picture(world, project_id, storage),
    }  # fmt: skip
    body = {"tiktokVideoId": TIKTOK_ID, "influencerId": influencer_id}
    accepted = post(f"/v1/projects/{project_id}/content/video-remix", body)
    _finish(world, accepted["jobId"], storage)
    ids |= {"jobId": accepted["jobId"], "containerId": accepted["containerIds"][0]}
    with world.database.system_read() as session:
        video = sa.select(Asset.id).where(Asset.container_id == ids["containerId"], Asset.kind == "video")
        ids["assetId"] = session.scalars(video).one()
    ids["apiKeyId"] = post("/v1/api-keys", {"name": name, "scopes": ["jobs:read"]})["apiKey"]["id"]
    hook = {"url": "https://example.com/hook", "events": ["job.completed", "content.approved"]}
    ids["endpointId"] = post("/v1/webhook-endpoints", hook)["endpoint"]["id"]
    ids["deliveryId"] = post(f"/v1/webhook-endpoints/{ids['endpointId']}/test")["id"]
    return ids


def _finish(world: World, job_id: str, storage: ObjectStore) -> None:
    """Complete a job as the worker does."""
    assets = []
    for kind, mime_type in (("video", "video/mp4"), ("thumbnail", "image/jpeg")):
        stored = storage.put_bytes(f"jobs/{job_id}/{kind}", kind.encode() * 100)
        assets.append(
            NewAsset(
                kind=kind, object_key=stored.key, mime_type=mime_type, size_bytes=stored.size_bytes,
                checksum_sha256=stored.checksum_sha256, width=720, height=1280,
                duration_ms=8000 if kind == "video" else None,
            )  # type: ignore[arg-type]
        )  # fmt: skip
    with world.database.system_write() as session:
        complete(session, job_id, Completion(assets=assets, overlays=[], disclosure_label="AI-generated"))


def _picture(world: World, project_id: str, storage: ObjectStore) -> str:
    stored = storage.put_bytes(f"media/{project_id}/picture", project_id.encode())
    with world.database.write(world.organization_id) as session:
        row = MediaAsset(
            id=session.new_id("med"), project_id=project_id, kind="image", object_key=stored.key,
            mime_type="image/jpeg", size_bytes=stored.size_bytes, checksum_sha256=stored.checksum_sha256, width=600,
            height=600, duration_ms=None, created_at=session.now,
        )  # fmt: skip
        session.add(row)
    return row.id
