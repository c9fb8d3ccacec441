"""Is the process alive, can it work, and what does it offer. Open to everybody."""

from __future__ import annotations

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse

from recaster.api.call import Services
from recaster.api.errors import NotReady
from recaster.api.routing import OPEN, Routes
from recaster.infra import migrations
from recaster.infra.storage import StorageError

routes = Routes("health")


@routes.get("/healthz", scope=OPEN, answers=None)
def healthz(request: Request) -> JSONResponse:
    """Tell that the process answers."""
    return JSONResponse({"status": "ok"})


@routes.get("/readyz", scope=OPEN, answers=None, errors=(NotReady,))
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


@routes.get("/openapi.json", scope=OPEN, answers=None)
def openapi(request: Request) -> JSONResponse:
    """Return the description of this API (OpenAPI 3.1)."""
    return JSONResponse(request.app.openapi())
