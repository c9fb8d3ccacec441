"""Every route of the OpenAPI document against every scope, and against the ids of another tenant."""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from fastapi.testclient import TestClient
from openapi_world import Route, bodies, furnish, hush, named_ids, routes, send
from ulid import ULID
from worlds import World

from recaster.infra.database import Database
from recaster.infra.storage import ObjectStore
from recaster.service.keys.service import SCOPES
from recaster.service.tables import complete_metadata

pytestmark = pytest.mark.contract

Headers = dict[str, str]
ALL = ("*", "org:admin")
NOT_TO_BE_HAD = {"GET /v1/influencers/{influencerId}/image", "POST /v1/projects/{projectId}/sources"}
"""What the furnished tenant cannot do: its influencer has no picture, and a picture is no source."""


@pytest.fixture
def documented(client: TestClient) -> Iterator[list[Route]]:
    hush()
    yield list(routes(client.get("/openapi.json").json()))
    structlog.reset_defaults()


def test_a_route_works_with_its_scope_alone(
    documented: list[Route], client: TestClient, make_key: Callable[..., Headers]
) -> None:
    every = {*SCOPES, "*"}
    keys = {frozenset(scopes): make_key(*scopes) for scope in SCOPES for scopes in ({scope}, {*SCOPES} - {scope})}
    keys |= {frozenset({"*"}): make_key("*"), frozenset(every - {"org:admin"}): make_key(*(every - {"org:admin"}))}
    wrong = []
    for route in documented:
        required = route.described.get("x-required-scope")
        grants = {
            frozenset({required}),
            frozenset({"*"}),
            frozenset({*SCOPES} - {required}),
            frozenset(every - {"org:admin"}),
        }
        for scopes, headers in keys.items():
            if required is not None and scopes not in grants:
                continue
            granted = required in {None, *scopes} or ("*" in scopes and required != "org:admin")
            answer = client.request(route.method, re.sub(r"\{\w+\}", "x", route.path), headers=headers)
            if (answer.status_code == 403) == granted or answer.status_code == 401:
                wrong.append(f"{route.name} with {sorted(scopes)}: {answer.status_code}")
            elif not granted and answer.json()["error"]["details"]["requiredScope"] != required:
                wrong.append(f"{route.name} does not name {required}")
    assert wrong == []


@pytest.fixture
def tenants(
    database: Database, client: TestClient, make_organization: Callable[..., str], make_key: Callable[..., Headers],
    storage: ObjectStore, organization_id: str,
) -> tuple[Headers, dict[str, str], Headers, dict[str, str]]:  # fmt: skip
    """Key and ids of one tenant, key and ids of another."""
    made: list[Any] = []
    for number, organization in enumerate((organization_id, make_organization("Coffee House"))):
        headers = make_key(*ALL, organization=organization)
        made += [headers, furnish(World(database, organization), client, headers, storage, f"Tenant {number}")]
    return made[0], made[1], made[2], made[3]


def unknown_like(identifier: str) -> str:
    """Return an id of the same kind that nobody has."""
    prefix, _, tail = identifier.partition("_")
    return f"{prefix}_{ULID() if len(tail) == 26 else uuid.uuid4()}"


def changed(body: Any, path: tuple[str | int, ...], value: str) -> Any:
    """Return a copy of a body with one value replaced."""
    result = copy.deepcopy(body)
    place = result
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return result


class Counted:
    """Counts the statements that the database is asked for: the class of time that an answer takes."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        sa.event.listen(database.engine, "before_cursor_execute", self._note)

    def _note(self, *_: Any) -> None:
        self.count += 1

    def take(self) -> int:
        taken, self.count = self.count, 0
        return taken


def told(client: TestClient, counted: Counted, route: Route, path: str, body: Any, headers: Headers, said: str) -> Any:
    """Return everything that an answer tells, but for what each request has of its own."""
    counted.take()
    answer = send(client, route, path, body, headers)
    shown = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"x-request-id", "x-ratelimit-remaining", "ratelimit", "content-length", "date"}
    }
    text = answer.text.replace(answer.headers["x-request-id"], "REQUEST").replace(said, "ID")
    return answer.status_code, text, shown, counted.take()


def fingerprint(database: Database, organization_id: str) -> dict[str, list[Any]]:
    """Every row of an organization."""
    rows = {}
    with database.engine.connect() as connection:
        for table in complete_metadata().sorted_tables:
            if "organization_id" in table.columns:
                found = connection.execute(sa.select(table).where(table.c.organization_id == organization_id))
                rows[table.name] = sorted(map(str, found))
    return rows


def aims(
    documented: list[Route], own: Mapping[str, str], foreign: Mapping[str, str]
) -> Iterator[tuple[Route, str, Callable[[str], tuple[str, Any]], str]]:
    """Yield every place of every request where an id can stand: route, its name, how to put an id there, the foreign one."""
    mine, theirs = bodies(own), bodies(foreign)
    for route in documented:
        body = mine.get(route.name)
        for name in route.parameters:
            yield route, name, lambda value, r=route, n=name, b=body: (r.at({**own, n: value}), b), foreign[name]  # type: ignore[misc]
        for path, _ in named_ids(body):
            other = dict(named_ids(theirs[route.name]))[path]
            yield route, str(path), lambda value, r=route, p=path, b=body: (r.at(own), changed(b, p, value)), other  # type: ignore[misc]
        for parameter in route.described.get("parameters", []):
            if parameter["in"] == "query" and parameter["name"] in own:
                name = parameter["name"]
                yield route, name, lambda value, r=route, n=name: (f"{r.at(own)}?{n}={value}", None), foreign[name]  # type: ignore[misc]


def test_every_route_can_be_asked(documented: list[Route], tenants: Any) -> None:
    own = tenants[1]
    assert {name for route in documented for name in route.parameters} <= set(own)
    assert {route.name for route in documented if route.body_schema is not None} == set(bodies(own))


def test_a_foreign_id_answers_like_an_unknown_one(
    documented: list[Route], tenants: Any, client: TestClient, database: Database, organization_id: str
) -> None:
    headers, own, _, foreign = tenants
    counted = Counted(database)
    with database.system_read() as session:
        others = session.scalar(sa.text("SELECT id FROM vr_organization WHERE name = 'Coffee House'"))
    before = fingerprint(database, str(others))
    wrong = []
    number = 0
    for route, place, put, theirs in aims(documented, own, foreign):
        number += 1
        nobody = unknown_like(theirs)
        path, body = put(nobody)
        unknown = told(client, counted, route, path, body, headers, nobody)
        path, body = put(theirs)
        answer = told(client, counted, route, path, body, headers, theirs)
        if answer != unknown:
            wrong.append(f"{route.name} with a foreign {place}: {answer} instead of {unknown}")
        elif answer[0] != 404 and "?" not in path and not route.takes_file:
            wrong.append(f"{route.name} with a foreign {place}: {answer}")
    assert wrong == []
    assert number > 50
    assert fingerprint(database, str(others)) == before


def test_own_ids_are_answered_and_no_list_shows_a_foreign_row(
    documented: list[Route], tenants: Any, client: TestClient
) -> None:
    """The control of the test above, and its counterpart for cursors: one that another tenant got shows none of its rows."""
    headers, own, others, foreign = tenants
    wrong = []
    pages = 0
    for route in documented:
        if route.open:
            continue
        query = ""
        if any(parameter["name"] == "cursor" for parameter in route.described.get("parameters", [])):
            page = client.get(f"{route.at(foreign)}?limit=1", headers=others).json()
            pages += 1
            query = f"?cursor={page['nextCursor']}" if page["nextCursor"] else ""
        answer = send(client, route, route.at(own) + query, bodies(own).get(route.name), headers)
        if answer.status_code in {401, 403, 404, 422} and route.name not in NOT_TO_BE_HAD:
            wrong.append(f"{route.name}: {answer.status_code} {answer.text}")
        seen = [name for name, value in foreign.items() if value in answer.text]
        if seen:
            wrong.append(f"{route.name} shows a foreign {seen}")
    assert wrong == []
    assert pages > 5


def test_the_counting_of_statements_sees_a_difference(
    documented: list[Route], tenants: Any, client: TestClient, database: Database
) -> None:
    headers, own, _, _ = tenants
    counted = Counted(database)
    route = next(route for route in documented if route.name == "GET /v1/content/{containerId}")
    known = told(client, counted, route, route.at(own), None, headers, "-")
    unknown = told(client, counted, replace(route), "/v1/content/x", None, headers, "-")
    assert known[3] > unknown[3] > 0
