"""The app factory: opens what the process needs, mounts the declared routes, and puts one frame around every answer."""

from __future__ import annotations

import importlib
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from functools import cache
from typing import Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recaster import __version__
from recaster.api.call import Services
from recaster.api.errors import InternalError, from_validation, render
from recaster.api.limits import Budgets
from recaster.api.metrics import Metrics
from recaster.api.openapi import build_openapi
from recaster.api.routing import DeclaredRoute, Operation, Routes, endpoint_of, guard_address
from recaster.errors import RecasterError
from recaster.infra import migrations
from recaster.infra.clock import Clock
from recaster.infra.database import Database, open_database
from recaster.infra.engine import EngineClient, migrate_engine
from recaster.infra.ids import IdFactory
from recaster.infra.rates import open_counter
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore, open_storage
from recaster.service.errors import MethodNotAllowed, NotFound
from recaster.service.keys.usage import KeyUsage
from recaster.service.sources.finding import SourceFinder
from recaster.service.sources.opening import open_finder

ROUTE_MODULES: Final = (
    "health", "whoami", "credits", "remixes", "jobs", "content",
    "projects", "influencers", "media", "social", "layers", "sources", "recommendations", "api_keys", "audit_log", "webhooks",
)  # fmt: skip
"""Modules of `recaster.api.routes`; each holds `routes`."""

_LOG = structlog.get_logger(__name__)


def create_app(
    settings: Settings,
    *,
    database: Database | None = None,
    storage: ObjectStore | None = None,
    clock: Clock | None = None,
    ids: IdFactory | None = None,
    finder: SourceFinder | None = None,
) -> FastAPI:
    """Build the API. Its start-up brings tables up to date; it runs no work itself, jobs wait for a worker."""
    opened = database or open_database(settings, clock=clock, ids=ids)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        migrations.upgrade(opened)
        migrate_engine(settings)
        app.state.budgets = Budgets(open_counter(settings, opened), opened.clock)
        resources = ExitStack()
        store = storage or open_storage(settings)
        app.state.services = Services(
            settings=settings,
            database=opened,
            storage=store,
            engine=EngineClient(settings),
            pepper=settings.pepper(),
            sealer=Sealer(settings.sealing_keys()),
            usage=KeyUsage(opened),
            finder=finder or resources.enter_context(open_finder(settings, opened, store)),
            metrics=Metrics(opened),
        )
        app.state.services.usage.start()
        try:
            yield
        finally:
            resources.close()
            app.state.services.usage.stop()
            app.state.services.engine.close()
            if database is None:
                opened.dispose()

    app = FastAPI(
        title="Recaster", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None,
        description="Remixes short vertical videos for a brand. Built to the public partner contract.",
        redirect_slashes=False,
    )  # fmt: skip
    operations = list(_declared())
    for operation in operations:
        app.router.add_api_route(
            operation.path,
            endpoint_of(operation),
            methods=[operation.method],
            status_code=operation.status,
            response_model=operation.answers,
            tags=[operation.tag],
            operation_id=f"{operation.handler.__name__}" + ("_head" if operation.method == "HEAD" else ""),
            summary=(operation.handler.__doc__ or "").strip().splitlines()[0] if operation.handler.__doc__ else None,
            include_in_schema=operation.method != "HEAD",
            route_class_override=DeclaredRoute,
        )
    _check_declarations(app)
    app.state.operations = operations
    # Made once: it takes a third of a second, and anybody may ask for it.
    app.openapi = cache(lambda: build_openapi(app, operations))  # type: ignore[method-assign]
    app.add_exception_handler(RecasterError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_error)
    app.add_middleware(_Frame, ids=opened.ids)
    return app


def _declared() -> Iterable[Operation]:
    for name in ROUTE_MODULES:
        routes: Routes = importlib.import_module(f"recaster.api.routes.{name}").routes
        yield from routes.operations


def _check_declarations(app: FastAPI) -> None:
    for route in app.routes:
        if not isinstance(route, DeclaredRoute):
            raise RuntimeError(f"The route {getattr(route, 'path', route)!r} has no declaration of scope and class.")


async def _answer_error(request: Request, error: Exception) -> Response:
    request_id: str = request.scope["recaster.request_id"]
    accept = request.headers.get("accept", "")
    shown: RecasterError
    if isinstance(error, RequestValidationError):
        shown = from_validation(error)
    elif isinstance(error, RecasterError):
        shown = error
    elif isinstance(error, HTTPException) and error.status_code in {404, 405}:
        shown = _unrouted(request, error)
    else:
        _LOG.error("request failed", request_id=request_id, exc_info=error)
        shown = InternalError()
    if shown.status >= 500 and shown.code == "INTERNAL" and not isinstance(shown, InternalError):
        _LOG.error("request failed", request_id=request_id, exc_info=error)
    return render(shown, request_id=request_id, accept=accept)


def _unrouted(request: Request, error: HTTPException) -> RecasterError:
    try:
        guard_address(request, request.app.state.budgets, request.app.state.services)
    except RecasterError as limited:
        return limited
    if error.status_code == 404:
        return NotFound("route", request.url.path)
    allowed: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            allowed |= route.methods
    return MethodNotAllowed(
        f"{request.url.path} does not take {request.method}.",
        headers={"Allow": ", ".join(sorted(allowed))},
        allowed=sorted(allowed),
    )


class _Frame:
    """Gives every request an id, every answer its headers, and every unforeseen exception the envelope."""

    def __init__(self, app: ASGIApp, ids: IdFactory) -> None:
        self._app = app
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._ids.new("req")
        scope["recaster.request_id"] = request_id
        scope.setdefault("state", {})
        started = False
        begun = time.perf_counter()

        async def framed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                extra = {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff"}
                rate = scope["state"].get("rate")
                if rate is not None:
                    extra |= rate.headers()
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.lower().encode(), value.encode()) for name, value in extra.items()),
                ]
                route = getattr(scope.get("route"), "path", "unrouted")
                seconds = time.perf_counter() - begun
                scope["app"].state.services.metrics.observe(scope["method"], route, message["status"], seconds)
                _LOG.info(
                    "request",
                    request_id=request_id,
                    method=scope["method"],
                    path=scope["path"],
                    status=message["status"],
                )
            await send(message)

        try:
            await self._app(scope, receive, framed)
        except Exception as error:
            _LOG.error("request failed", request_id=request_id, exc_info=error)
            if started:
                raise
            accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
            await render(InternalError(), request_id=request_id, accept=accept)(scope, receive, framed)
