"""Is the process alive, can it work, what does it do and what does it offer. Open to everybody."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from pydantic import RootModel
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from recaster.api.call import Services
from recaster.api.errors import NotReady
from recaster.api.metrics import MEDIA_TYPE
from recaster.api.reference import CONTENT_SECURITY_POLICY, reference_page
from recaster.api.routing import OPEN, Routes
from recaster.infra import migrations
from recaster.infra.storage import StorageError
from recaster.service.schemas import View

routes = Routes("health")


class HealthView(View):
    """The process answers."""

    status: Literal["ok"]


class ReadinessView(View):
    """The server can work."""

    status: Literal["ready"]
    checks: dict[str, str]


@routes.get("/healthz", scope=OPEN, answers=HealthView)
def healthz(request: Request) -> JSONResponse:
    """Tell that the process answers."""
    return JSONResponse({"status": "ok"})


@routes.get("/readyz", scope=OPEN, answers=ReadinessView, errors=(NotReady,))
def readyz(request: Request) -> JSONResponse:
    """Tell whether database and storage can be used."""
    services: Services = request.app.state.services
    checks: dict[str, str] = {}
    try:
        with services.database.system_read() as session:
            session.execute(sa.text("SELECT 1"))
        current, newest = migrations.current_revision(services.database), migrations.newest_revision()
        checks["database"] = "ok" if current == newest else f"tables are at {current}, this version needs {newest}"
    except sa.exc.SQLAlchemyError as error:
        checks["database"] = type(error).__name__
    try:
        services.storage.exists("readyz")
        checks["storage"] = "ok"
    except (OSError, StorageError) as error:
        checks["storage"] = type(error).__name__
    if any(finding != "ok" for finding in checks.values()):
        raise NotReady("The server cannot work yet.", checks=checks)
    return JSONResponse({"status": "ready", "checks": checks})


class OpenApiDocument(RootModel[dict[str, Any]]):
    """An OpenAPI 3.1 document."""


@routes.get("/openapi.json", scope=OPEN, answers=OpenApiDocument)
def openapi(request: Request) -> JSONResponse:
    """Return the description of this API (OpenAPI 3.1)."""
    return JSONResponse(request.app.openapi())


@routes.get("/docs", scope=OPEN, answers=None, media_type="text/html")
def docs(request: Request) -> HTMLResponse:
    """Return the reference of this API as a page to read."""
    page = reference_page(request.app.openapi())
    return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


@routes.get("/metrics", scope=OPEN, answers=None, media_type="text/plain")
def metrics(request: Request) -> Response:
    """Return counts and durations in Prometheus' text form."""
    services: Services = request.app.state.services
    return Response(services.metrics.text(), media_type=MEDIA_TYPE)
