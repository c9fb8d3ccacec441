"""Source recommendations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from recaster.api.call import Call
from recaster.api.routes.projects import ProjectId
from recaster.api.routing import Routes
from recaster.service.errors import NotFound
from recaster.service.recommendations import service
from recaster.service.recommendations.schemas import RecommendationKind, Recommendations

routes = Routes("content")


@routes.get(
    "/v1/projects/{projectId}/content/source-recommendations",
    scope="content:read",
    answers=Recommendations,
    errors=(NotFound,),
    transaction=False,
)
def list_source_recommendations(
    call: Call,
    project_id: ProjectId,
    keyword: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            description="Search the platform by it; where that is not possible now, the library. `source` says which.",
        ),
    ] = None,
    kind: Annotated[RecommendationKind, Query(description="Only videos are recommended.")] = "mixed",
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> Response:
    """Recommend sources for the project, best first, each with its score and the reasons for it."""
    found = service.recommend(
        call.database,
        call.principal.organization_id,
        project_id,
        finder=call.finder,
        vectors=call.services.vectors,
        keyword=keyword,
        kind=kind,
        limit=limit,
        search_seconds=call.settings.source_probe_seconds,
    )
    return call.read(lambda session: found)
