"""The demo: one real remix, sent over HTTP to a service that was just started, with nothing prepared but the models.

The source clip is made on the spot from pictures of one synthetic person, the influencer from pictures of another; both
come from the package `openpeople`. It uses the service as any client would and knows nothing of its inside, except that
it makes its own API key the way an operator does.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np

from recaster.demo.sheet import contact_sheet
from recaster.demo.source import make_source_clip
from recaster.errors import NotInstalled, RecasterError
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.faces import FaceModels, find_faces
from recaster.media.progress import Progress, silent

SOURCE_PERSON = "P006"
INFLUENCER = "P007"
TIKTOK_ID = "7412345678901234567"
BRAND = {
    "name": "Pantrypal demo",
    "appName": "Pantrypal",
    "appDescription": "An app that turns what is in the kitchen into a plan for the week.",
    "brandVoice": "casual",
    "audience": "people who cook for themselves on busy weeks",
    "keywords": ["meal planning", "weeknight dinners"],
    "bannedWords": ["diet", "guilt"],
    "messageBank": {
        "en": {
            "hook": ["3 things I wish I knew before planning my week"],
            "list_item": ["check the fridge first", "plan three dinners", "leave one night free"],
            "call_to_action": ["save this for your Sunday plan"],
        }
    },
}
_PATIENCE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo leaves on disk, and what was said."""

    source: Path
    remix: Path
    sheet: Path
    overlays: tuple[tuple[str, str], ...]
    """Old text and new text of each overlay."""


def run_demo(output: Path, say: Callable[[str], None] = lambda line: None, progress: Progress = silent) -> DemoResult:
    """Make the clip, start the service, send one remix over HTTP, fetch the result and stop the service.

    Raises:
        NotInstalled: the package with the synthetic people is missing.
        RecasterError: the service did not start, or the job failed.
    """
    output.mkdir(parents=True, exist_ok=True)
    settings = Settings()
    models = ModelStore(settings.folder("models"))
    files = models.paths()
    source = output / "source.mp4"
    say(f"making the source clip from pictures of {SOURCE_PERSON}, a synthetic person")
    make_source_clip(persona_pictures(SOURCE_PERSON), files, source, progress=progress)
    references = reference_pictures(persona_pictures(INFLUENCER), files, output / "influencer")
    with _service(output) as (address, token):
        say(f"the service listens on {address}")
        client = httpx2.Client(
            base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=httpx2.Timeout(120.0)
        )
        with client:
            job = _start_remix(client, source, references, say)
            _wait(client, job["jobId"], say)
            container = _get(client, f"/v1/content/{job['containerIds'][0]}")
            video = next(asset for asset in container["assets"] if asset["kind"] == "video")
            remix = output / "remix.mp4"
            remix.write_bytes(client.get(video["url"]).raise_for_status().content)
    sheet = output / "before-after.png"
    contact_sheet(source, remix, sheet)
    overlays = tuple((overlay["sourceText"], overlay["adaptedText"]) for overlay in container["overlays"])
    return DemoResult(source, remix, sheet, overlays)


def persona_pictures(person: str) -> Path:
    """Return the folder with one synthetic person's pictures, or raise `NotInstalled`."""
    try:
        return Path(str(distribution("openpeople").locate_file(f"openpeople/data/curated/{person}/assets")))
    except PackageNotFoundError as error:
        raise NotInstalled(
            "The demo's people are not installed: the package `openpeople` is missing. "
            "Install the extra `demo`: pip install 'recaster[demo]'."
        ) from error


def reference_pictures(folder: Path, files: Mapping[str, Path], target: Path) -> list[Path]:
    """Cut pictures with exactly one face out of the portrait, the selfie and the sheet of expressions."""
    target.mkdir(exist_ok=True)
    models = FaceModels.of(files)
    found = []
    for name in ("studio_portrait", "amateur_selfie", "emotions_sheet"):
        image = cv2.imread(str(folder / f"{name}.jpg"))
        if image is None:
            raise NotInstalled(f"The picture {name}.jpg is missing in {folder}. Reinstall the package `openpeople`.")
        for position, (left, top, right, bottom) in enumerate(find_faces(np.asarray(image, np.uint8), models)):
            margin_x, margin_y = 0.45 * (right - left), 0.45 * (bottom - top)
            x0, y0 = max(0, int(left - margin_x)), max(0, int(top - margin_y))
            x1, y1 = min(image.shape[1], int(right + margin_x)), min(image.shape[0], int(bottom + margin_y))
            path = target / f"{name}-{position:02d}.jpg"
            cv2.imwrite(str(path), image[y0:y1, x0:x1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            found.append(path)
    return found[:20]


@contextmanager
def _service(output: Path) -> Iterator[tuple[str, str]]:
    """Start `recaster serve` on a free port with a database and a store of its own; stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "RECASTER_DATABASE_URL": f"sqlite:///{(output / 'demo.db').absolute()}",
        "RECASTER_STORAGE_URL": (output / "objects").absolute().as_uri(),
    }
    recaster = [sys.executable, "-m", "recaster.cli"]
    for arguments in (("credits", "grant", "--organization", "Demo", "1000"),):
        minted = subprocess.run(
            [*recaster, "keys", "mint", "--organization", "Demo"],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        subprocess.run([*recaster, *arguments], env=environment, check=True, capture_output=True)
    with (output / "service.log").open("wb") as log:
        server = subprocess.Popen(
            [*recaster, "serve", "--port", str(port)], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_ready(address, server, output / "service.log")
            yield address, minted.stdout.strip()
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_until_ready(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            if httpx2.get(f"{address}/readyz", timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.2)
    raise RecasterError(f"The service did not start. Its log is {log}.", log=str(log))


def _start_remix(
    client: httpx2.Client, source: Path, references: list[Path], say: Callable[[str], None]
) -> dict[str, Any]:
    project = _post(client, "/v1/projects", json=BRAND)
    influencer = _post(
        client, f"/v1/projects/{project['id']}/influencers", json={"name": "Theo", "origin": "synthetic"}
    )
    assets = []
    for path in references:
        with path.open("rb") as file:
            upload = {"file": (path.name, file, "image/jpeg")}
            assets.append(_post(client, f"/v1/projects/{project['id']}/media", files=upload)["assetId"])
    training = _post(client, f"/v1/influencers/{influencer['id']}/reference-images", json={"assetIds": assets})
    say(f"the influencer is prepared from {len(assets)} pictures")
    _wait(client, training["jobId"], say)
    with source.open("rb") as file:
        _post(
            client,
            f"/v1/projects/{project['id']}/sources",
            files={"file": ("source.mp4", file, "video/mp4")},
            data={"tiktokVideoId": TIKTOK_ID, "rightsNote": "Made by the demo itself from synthetic people."},
        )
    body = {"tiktokVideoId": TIKTOK_ID, "influencerId": influencer["id"]}
    say(f"POST /v1/projects/{project['id']}/content/video-remix")
    return _post(client, f"/v1/projects/{project['id']}/content/video-remix", json=body)


def _wait(client: httpx2.Client, job_id: str, say: Callable[[str], None]) -> None:
    """Poll a job to its end, saying each stage once."""
    stage, etag = "", ""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": etag} if etag else {})
        if answer.status_code != 304:
            job = answer.raise_for_status().json()
            etag = answer.headers.get("etag", "")
            if job["stage"] != stage:
                stage = job["stage"]
                say(f"  {stage.replace('_', ' ')}")
            if job["status"] == "completed":
                return
            if job["status"] != "running":
                error = job["error"] or {"code": job["status"], "message": "The job ended without a result."}
                raise RecasterError(f"The job {job_id} failed: {error['code']}: {error['message']}", **error)
        time.sleep(0.5)
    raise RecasterError(f"The job {job_id} did not end within {_PATIENCE_SECONDS} seconds.")


def _post(client: httpx2.Client, path: str, **content: Any) -> dict[str, Any]:
    return _checked(client.post(path, headers={"Idempotency-Key": f"demo-{time.time_ns()}"}, **content))


def _get(client: httpx2.Client, path: str) -> dict[str, Any]:
    return _checked(client.get(path))


def _checked(answer: httpx2.Response) -> dict[str, Any]:
    if answer.is_error:
        raise RecasterError(
            f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}: {answer.text}"
        )
    document: dict[str, Any] = answer.json()
    return document
