"""What a stage may reach: nothing, or the language model of the settings through the proxy, and its own folder."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recaster.errors import InvalidInput
from recaster.infra.child import run_in_child
from recaster.infra.egress_proxy import EgressProxy
from recaster.infra.settings import Settings
from recaster.remix import stage_runner
from recaster.remix.stage_runner import StagesInChildren, provider_profile

pytestmark = pytest.mark.unit

PATHS = [str(Path(__file__).parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


@pytest.fixture
def model() -> Iterator[tuple[int, list[bytes]]]:
    """A language model on loopback that answers one word."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                with near:
                    seen.append(near.recv(4096))
                    near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], seen


@pytest.fixture(autouse=True)
def own_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a stage of this test under the runner's policy and environment."""

    def run(stage: str, request: Any, **more: Any) -> dict[str, Any]:
        more["environment"] = {**more["environment"], "PYTHONPATH": os.pathsep.join(map(os.path.abspath, PATHS))}
        policy = more["sandbox"]
        more["sandbox"] = type(policy)(**{**policy.to_json(), "readable": (*policy.readable, PATHS[0])})
        return run_in_child("stages_for_runner:ask", request, **more)

    monkeypatch.setattr(stage_runner, "run_in_child", run)
    monkeypatch.setattr(stage_runner, "engine_choice", lambda settings, models: {})


def ask(settings: Settings, proxy: EgressProxy | None, stage: str, folder: Path, url: str) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    return StagesInChildren(settings, proxy)(
        stage,
        {"scratch": str(folder), "url": url},
        progress=lambda done, total: None,
        is_cancelled=lambda: False,
    )


def test_only_the_stage_that_asks_reaches_the_model_and_only_that_one(
    tmp_path: Path, model: tuple[int, list[bytes]]
) -> None:
    port, seen = model
    url = f"http://127.0.0.1:{port}/v1/chat"
    settings = Settings(
        home=tmp_path / "home", copy_adapter="provider", copy_base_url=f"http://127.0.0.1:{port}/v1", copy_model="m",
        copy_api_key="canary-key", key_pepper="canary-pepper",
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as other, EgressProxy([provider_profile(settings)]) as proxy:
        asked = ask(settings, proxy, "adapt", tmp_path / "a", url)
        assert asked["body"] == "ok"
        assert asked["key"] == "canary-key"
        assert "canary-pepper" not in str(asked["environment"])
        elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}/"
        assert ask(settings, proxy, "adapt", tmp_path / "b", elsewhere)["body"] != "ok"
        rendered = ask(settings, proxy, "render", tmp_path / "c", url)
        assert rendered["body"] != "ok"
        assert "canary" not in str(rendered["environment"])
    assert len(seen) == 1
    assert seen[0].startswith(b"GET /v1/chat HTTP/1.1")


def test_without_a_model_no_stage_has_a_network(tmp_path: Path, model: tuple[int, list[bytes]]) -> None:
    port, seen = model
    settings = Settings(home=tmp_path / "home")
    assert ask(settings, None, "adapt", tmp_path / "a", f"http://127.0.0.1:{port}/")["body"] != "ok"
    assert seen == []


def test_the_local_model_is_not_for_workers(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="recaster copy"):
        StagesInChildren(Settings(home=tmp_path / "home", copy_adapter="local"))


def test_the_way_leads_to_the_second_model_and_to_the_providers_own_addresses(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, copy_adapter="provider", copy_family="anthropic", copy_model="m", copy_second_model="n",
        copy_second_base_url="http://127.0.0.1:9999/v1",
    )  # fmt: skip
    assert provider_profile(settings).endpoints == {("api.anthropic.com", 443), ("127.0.0.1", 9999)}
