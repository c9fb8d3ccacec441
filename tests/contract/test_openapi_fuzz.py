"""Requests made up from the OpenAPI document, with a key and without: nothing is answered that is not written there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test
from openapi_world import Route, furnish, hush, routes
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from worlds import World

from recaster.infra.clock import ManualClock
from recaster.infra.database import Database
from recaster.infra.storage import ObjectStore

pytestmark = pytest.mark.contract

EXAMPLES = int(os.environ.get("RECASTER_FUZZ_EXAMPLES", "3"))
"""Requests per operation, kind and key; `bench/api/fuzz.py` raises it."""
LIMITS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=8,
    deadline=None,
    database=None,
    derandomize="RECASTER_FUZZ_EXAMPLES" not in os.environ,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
load_all_checks()
CHOSEN = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance",
)  # fmt: skip
REQUEST_ID = re.compile(r"req_[0-9A-HJKMNP-TV-Z]{26}")


def judge(case: Any, response: Any, by_name: dict[str, Route]) -> None:
    """Raise unless the answer is documented: status, type, shape, and for errors the envelope with a documented code."""
    chosen = list(CHOSEN)
    if "text/event-stream" in response.headers.get("content-type", [""])[0]:
        # The tool takes the schema of a stream for that of its events, which OpenAPI 3.1 cannot describe.
        chosen.remove("response_schema_conformance")
    case.validate_response(response, checks=CHECKS.get_by_names(chosen))
    given_id = response.headers["x-request-id"][0]
    assert REQUEST_ID.fullmatch(given_id)
    if response.status_code < 400:
        return
    error = response.json()["error"]
    assert set(error) == {"code", "message", "requestId", "details"}
    assert error["requestId"] == given_id
    assert isinstance(error["details"]["retryable"], bool)
    if response.status_code == 405:
        assert error["code"] == "METHOD_NOT_ALLOWED"
        return
    answer = by_name[f"{case.method} {case.operation.path}"].described["responses"][str(response.status_code)]
    if "$ref" in answer:
        answer = case.operation.schema.raw_schema["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    assert error["code"] in answer["content"]["application/json"]["examples"], f"undocumented code {error['code']}"


@pytest.fixture
def schema(app: FastAPI, client: TestClient) -> Iterator[Any]:
    hush()
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    structlog.reset_defaults()


@pytest.fixture
def by_name(client: TestClient) -> dict[str, Route]:
    return {route.name: route for route in routes(client.get("/openapi.json").json())}


@pytest.fixture
def ids(
    database: Database, organization_id: str, client: TestClient, make_key: Callable[..., dict[str, str]],
    storage: ObjectStore,
) -> dict[str, str]:  # fmt: skip
    return furnish(World(database, organization_id), client, make_key("*", "org:admin"), storage, "Fuzz")


@dataclass(frozen=True)
class Fuzz:
    """Sends made-up requests: right ones about things that are there, and wrong ones about nothing."""

    schema: Any
    by_name: dict[str, Route]
    clock: ManualClock
    known: dict[str, str]
    headers: dict[str, str]
    limits: settings = LIMITS
    answered: dict[str, set[int]] = field(default_factory=dict)

    def findings(self) -> list[str]:
        """Ask every operation, and return what was answered against the document."""
        operations = {
            operation.label: operation for operation in (one.ok() for one in self.schema.get_all_operations())
        }
        left_out = set(self.by_name) - set(operations)
        assert left_out == {"GET /openapi.json"}, "the tool leaves out the document itself, and nothing else"
        return [
            finding
            for name in self.by_name
            if name in operations
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
            for finding in self._ask(operations[name], mode)
        ]

    def _ask(self, operation: Any, mode: GenerationMode) -> list[str]:
        seen = self.answered.setdefault(operation.label, set())

        @given(case=operation.as_strategy(generation_mode=mode))
        @self.limits
        def run(case: Any) -> None:
            self.clock.advance(timedelta(seconds=61))  # a new budget of requests
            if mode is GenerationMode.POSITIVE:
                case.path_parameters.update({key: self.known[key] for key in case.path_parameters if key in self.known})
            response = case.call(headers=self.headers)
            seen.add(response.status_code)
            judge(case, response, self.by_name)

        try:
            run()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, f"no request could be made up for {operation.label}"
        except (AssertionError, BaseExceptionGroup) as error:
            causes = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
            return [f"{operation.label} ({mode.value}): {cause}" for cause in causes]
        return []


def test_every_answer_to_a_key_is_documented(
    schema: Any, by_name: dict[str, Route], clock: ManualClock, ids: dict[str, str], make_key: Any
) -> None:
    fuzz = Fuzz(schema, by_name, clock, ids, make_key("*", "org:admin"))
    found = fuzz.findings()
    assert not found, "\n\n".join(found)
    reached = [name for name, statuses in fuzz.answered.items() if min(statuses) < 300]
    assert len(reached) > len(fuzz.answered) * 2 / 3, f"only {reached} were ever answered well"


def test_every_answer_to_nobody_is_documented(
    schema: Any, by_name: dict[str, Route], clock: ManualClock, ids: dict[str, str]
) -> None:
    fuzz = Fuzz(schema, by_name, clock, ids, {}, settings(LIMITS, max_examples=max(1, EXAMPLES // 3)))
    found = fuzz.findings()
    assert not found, "\n\n".join(found)
    opened = {name for name, statuses in fuzz.answered.items() if statuses != {401}}
    assert opened == {name for name, route in by_name.items() if route.open and name in fuzz.answered}


def test_following_links_leads_to_documented_answers(
    schema: Any, by_name: dict[str, Route], clock: ManualClock, make_key: Any
) -> None:
    class Walk(schema.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            clock.advance(timedelta(seconds=61))

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": make_key("*", "org:admin")}  # a walk may kill the key that it walked with

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            judge(case, response, by_name)

    run_state_machine_as_test(Walk, settings=LIMITS)
