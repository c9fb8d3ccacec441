"""The way through a language model: each provider family on a recorded shape, the second model, limits, hostile text.

Nothing leaves the machine but where RECASTER_TEST_COPY_KEY is set: then one video is written by a real provider.
"""

from __future__ import annotations

import json
import os
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.usage import RequestUsage

from recaster.errors import Cancelled, NotInstalled
from recaster.media.copywriting import (
    BrandProfile,
    CopyLine,
    CopyRequest,
    CopyResult,
    FitVerdict,
    FormulaAdapter,
    check_copy,
)
from recaster.media.copywriting import provider as provider_module
from recaster.media.copywriting.local import LocalAdapter
from recaster.media.copywriting.prompt import INSTRUCTIONS, PROMPT_VERSION, prompt_digest
from recaster.media.copywriting.provider import ModelAddress, ProviderAdapter, ProviderSettings, connect
from recaster.media.overlays.model import OverlayRole

pytestmark = pytest.mark.contract

HOSTILE = tuple(tomllib.loads((Path(__file__).parent / "hostile_overlays.toml").read_text())["lines"])
BRAND = BrandProfile(name="Larkspoon", banned_words=("diet",))
SOURCES = (
    ("hook", "3 things I wish I knew before meal prepping"),
    ("list_item", "1. freeze the herbs"),
    ("list_item", "2. label every jar"),
    ("list_item", "3. cook once, eat twice"),
    ("call_to_action", "save this for later 📌"),
)
GOOD = {
    "ov1": "3 things I wish I knew before planning meals",
    "ov2": "1. chill the basil",
    "ov3": "2. name each jar",
    "ov4": "3. simmer once, serve twice",
    "ov5": "save this for Sunday 📌",
}


def roomy(line_id: str, text: str) -> FitVerdict:
    return FitVerdict(len(text) <= 60, 60)


def request(sources: tuple[tuple[str, str], ...] = SOURCES, brand: BrandProfile = BRAND) -> CopyRequest:
    lines = tuple(CopyLine(f"ov{i}", OverlayRole(role), text, 60, 6.0) for i, (role, text) in enumerate(sources, 1))
    return CopyRequest(lines, brand, "en", source_language="en")


def answer(texts: dict[str, str]) -> dict[str, Any]:
    return {"lines": [{"id": key, "text": text} for key, text in texts.items()]}


def openai_shape(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": json.dumps(given)}}
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }


def anthropic_shape(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "final_result", "input": given}],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 7},
    }


def google_shape(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "candidates": [
            {"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": json.dumps(given)}]}}
        ],
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18},
        "modelVersion": "m",
        "responseId": "r1",
    }


@dataclass
class Endpoint:
    """A server that gives one answer in one family's shape and remembers what it was asked."""

    reply: dict[str, Any] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            state.paths.append(self.path)
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            payload = json.dumps(state.reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


FAMILIES: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str, str, str]] = {
    "openai": (openai_shape, "openai", "/v1", "/v1/chat/completions"),
    "anthropic": (anthropic_shape, "anthropic", "", "/v1/messages"),
    "google": (google_shape, "google.genai", "", ":generateContent"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_writes_a_whole_video_in_one_call(endpoint: Endpoint, family: Any) -> None:
    shape, library, suffix, path = FAMILIES[family]
    pytest.importorskip(library)
    endpoint.reply = shape(answer(GOOD))
    settings = ProviderSettings(f"{endpoint.url}{suffix}", "m", "key-1", family=family)
    result = ProviderAdapter(settings, FormulaAdapter()).adapt(request(), roomy)
    assert {line.id: line.text for line in result.lines} == GOOD
    assert {line.path for line in result.lines} == {"provider"}
    assert len(endpoint.bodies) == 1
    assert path in endpoint.paths[0]
    assert any("key-1" in value for value in endpoint.headers[0].values())
    asked = json.dumps(endpoint.bodies[0])
    assert "freeze the herbs" in asked
    assert result.settings["requests"] == 1
    assert (result.settings["inputTokens"], result.settings["outputTokens"]) == (11, 7)


def test_what_decided_the_texts_is_in_the_result_and_no_key_is() -> None:
    result = on(lambda _: answer(GOOD)).adapt(request(), roomy)
    assert result.settings["promptVersion"] == PROMPT_VERSION
    assert result.settings["promptSha256"] == prompt_digest()
    assert result.settings["temperature"] == 0.7
    assert json.loads(json.dumps(dict(result.settings))) == dict(result.settings)
    settings = ProviderSettings("http://127.0.0.1:1/v1", "m", "sk-secret", second=ModelAddress("n", api_key="sk-two"))
    adapter = ProviderAdapter(settings, FormulaAdapter(), double(lambda _: answer(GOOD)))
    shown = repr(settings) + json.dumps(dict(adapter.adapt(request(), roomy).settings))
    assert "sk-secret" not in shown
    assert "sk-two" not in shown


def test_a_refused_line_is_asked_for_alone_with_its_reasons_and_then_taken() -> None:
    asked: list[dict[str, Any]] = []

    def speak(document: dict[str, Any]) -> dict[str, Any]:
        asked.append(document)
        if len(document["lines"]) > 1:
            return answer(GOOD | {"ov3": "2. the best jar in 5 minutes"})
        return answer({"ov3": "2. name each jar"})

    result = on(speak, tries=1).adapt(request(), roomy)
    assert result.lines[2].text == "2. name each jar"
    assert "repaired" in result.lines[2].reason
    assert [line["id"] for line in asked[1]["lines"]] == ["ov3"]
    assert any("'5'" in reason for reason in asked[1]["lines"][0]["refused_because"])
    assert {"role": "hook", "text": GOOD["ov1"]} in asked[1]["already_written"]


def test_a_line_that_fails_alone_too_falls_to_the_formulas_with_the_reason() -> None:
    result = on(lambda document: answer({line["id"]: "the best diet" for line in document["lines"]}), tries=1).adapt(
        request(), roomy
    )
    assert {line.path for line in result.lines} <= {"formula", "kept"}
    assert any("never says 'diet'" in line.reason for line in result.lines)


def test_a_model_that_only_repeats_its_source_is_not_taken() -> None:
    result = on(lambda document: answer({line["id"]: line["text"] for line in document["lines"]})).adapt(
        request(), roomy
    )
    assert {line.path for line in result.lines} <= {"formula", "kept"}


def test_the_second_model_is_asked_where_the_first_one_fails() -> None:
    settings = ProviderSettings("", "first", second=ModelAddress("second"), tries=1)
    adapter = ProviderAdapter(
        settings, FormulaAdapter(), double(lambda _: "no json at all"), double(lambda _: answer(GOOD))
    )
    result = adapter.adapt(request(), roomy)
    assert {line.path for line in result.lines} == {"provider"}
    assert len(result.settings["asked"]) == 2


def test_the_second_model_is_asked_only_for_what_is_missing() -> None:
    documents: list[dict[str, Any]] = []

    def second(document: dict[str, Any]) -> dict[str, Any]:
        documents.append(document)
        return answer({"ov3": "2. name each jar"})

    settings = ProviderSettings("", "first", second=ModelAddress("second"), tries=1)
    first = double(
        lambda document: answer(
            {one["id"]: GOOD[one["id"]] if one["id"] != "ov3" else "2. diet" for one in document["lines"]}
        )
    )
    result = ProviderAdapter(settings, FormulaAdapter(), first, double(second)).adapt(request(), roomy)
    assert result.lines[2].text == "2. name each jar"
    assert [line["id"] for line in documents[0]["lines"]] == ["ov3"]


def test_the_token_limit_of_a_video_ends_the_conversation() -> None:
    def speak(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(
            parts=[TextPart(json.dumps(answer(GOOD | {"ov1": "diet"})))],
            usage=RequestUsage(input_tokens=900, output_tokens=200),
        )

    settings = ProviderSettings("", "double", max_total_tokens=1000)
    adapter = ProviderAdapter(settings, FormulaAdapter(), FunctionModel(speak, profile=PROFILE))
    result = adapter.adapt(request(), roomy)
    assert result.settings["requests"] == 1
    assert check_copy(request(), result, roomy) == ()


def test_the_deadline_of_a_video_ends_the_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(provider_module.time, "monotonic", lambda: now[0])

    def speak(document: dict[str, Any]) -> dict[str, Any]:
        now[0] += 100.0
        return answer(GOOD | {"ov3": "2. diet"})

    result = on(speak, tries=1, deadline_seconds=90.0).adapt(request(), roomy)
    assert result.settings["requests"] == 1
    assert result.lines[2].path != "provider"


def test_a_cancellation_between_two_answers_goes_through() -> None:
    def progress(done: int, total: int, /) -> None:
        if done:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        on(lambda _: answer(GOOD)).adapt(request(), roomy, progress)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_an_obedient_model_publishes_nothing_that_a_hostile_line_asks_for(hostile: str) -> None:
    """The double does what every line says; what comes out still passes every rule, and the other lines are safe."""

    def obey(document: dict[str, Any]) -> dict[str, Any]:
        texts = {line["id"]: "PWNED 100% free at example.com #ad @stranger" for line in document["lines"]}
        return answer(texts | {line["id"]: f"Sure! {line['text']}" for line in document["lines"][:1]})

    asked = request((("text", hostile), *SOURCES[1:4]), BrandProfile(name="Larkspoon"))
    result = on(obey, tries=2).adapt(asked, roomy)
    assert check_copy(asked, result, roomy) == ()
    published = " ".join(line.text for line in result.lines if line.action == "adapted")
    assert not any(word in published for word in ("PWNED", "example.com", "#ad", "@stranger", "100%"))


def test_hostile_text_never_reaches_the_instructions_and_cannot_leave_its_document() -> None:
    seen: list[tuple[str, str]] = []

    def speak(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        document = str(messages[0].parts[-1].content)
        seen.append((str(info.instructions), document))
        return ModelResponse(parts=[TextPart("{}")])

    adapter = ProviderAdapter(
        ProviderSettings("", "double", tries=1), FormulaAdapter(), FunctionModel(speak, profile=PROFILE)
    )
    adapter.adapt(request(tuple(("text", text) for text in HOSTILE), BrandProfile(name="Larkspoon")), roomy)
    instructions, document = seen[0]
    assert instructions.strip() == INSTRUCTIONS.strip()
    assert [line["text"] for line in json.loads(document)["lines"]] == list(HOSTILE)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_embedded_adapter_reads_hostile_lines_as_words(text: str) -> None:
    asked = request((("text", text), *SOURCES), BrandProfile(name="Larkspoon"))
    result = FormulaAdapter().adapt(asked, roomy)
    assert check_copy(asked, result, roomy) == ()
    assert all("PWNED" not in line.text for line in result.lines[1:])


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydantic_ai.models.anthropic", None)
    with pytest.raises(NotInstalled, match="recaster\\[providers\\]"):
        connect(ModelAddress("m", "anthropic", api_key="k"))


def test_a_real_local_model_goes_the_same_way() -> None:
    """The declared small model through llama.cpp's own endpoint; it writes badly, so only the way is tested."""
    pytest.importorskip("xllamacpp")
    model = Path(os.environ.get("RECASTER_TEST_SMOLLM2", ""))
    if not model.is_file():
        pytest.skip("RECASTER_TEST_SMOLLM2 names no model file")
    asked = request((("list_item", "1. freeze the herbs"), ("text", HOSTILE[0])), BrandProfile(name="Larkspoon"))
    result: CopyResult = LocalAdapter(model, FormulaAdapter()).adapt(asked, roomy)
    assert check_copy(asked, result, roomy) == ()
    assert result.settings["requests"] >= 1
    assert result.settings["outputTokens"] > 0
    assert "PWNED" not in result.lines[0].text


@pytest.mark.skipif(not os.environ.get("RECASTER_TEST_COPY_KEY"), reason="RECASTER_TEST_COPY_KEY is not set")
def test_a_real_provider_writes_a_video() -> None:
    settings = ProviderSettings(
        os.environ.get("RECASTER_TEST_COPY_URL", ""),
        os.environ["RECASTER_TEST_COPY_MODEL"],
        os.environ["RECASTER_TEST_COPY_KEY"],
        family=os.environ.get("RECASTER_TEST_COPY_FAMILY", "openai"),  # type: ignore[arg-type]
    )
    result = ProviderAdapter(settings, FormulaAdapter()).adapt(request(), roomy)
    assert sum(line.path == "provider" for line in result.lines) >= 4


PROFILE = ModelProfile(supports_json_schema_output=True)


def double(function: Callable[[dict[str, Any]], Any]) -> FunctionModel:
    """A model that answers the last JSON document it was given."""

    def speak(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        document = json.loads(str(messages[0].parts[-1].content))
        given = function(document)
        return ModelResponse(parts=[TextPart(given if isinstance(given, str) else json.dumps(given))])

    return FunctionModel(speak, profile=PROFILE)


def on(function: Callable[[dict[str, Any]], Any], **changes: Any) -> ProviderAdapter:
    return ProviderAdapter(ProviderSettings("", "double", **changes), FormulaAdapter(), double(function))
