"""Source recommendations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from recaster.api.call import Call
from recaster.api.routes.projects import ProjectId
from recaster.api.routing import Routes
from recaster.service.errors import NotFound
from recaster.service.projects.service import require_project
from recaster.service.recommendations import service
from recaster.service.recommendations.schemas import RecommendationKind, Recommendations

routes = Routes("content")


@routes.get(
    "/v1/projects/{projectId}/content/source-recommendations",
    scope="content:read",
    answers=Recommendations,
    errors=(NotFound,),
)
def list_source_recommendations(
    call: Call,
    project_id: ProjectId,
    keyword: Annotated[
        str | None,
        Query(min_length=1, max_length=200, description="Keep the sources of the library that hold all these words."),
    ] = None,
    kind: Annotated[RecommendationKind, Query(description="The library holds videos only.")] = "mixed",
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> Recommendations:
    """Recommend sources of the project's library, best first, each with its score and the reasons for it."""
    project = require_project(call.session, project_id)
    return service.recommend(call.session, project, keyword=keyword, kind=kind, limit=limit)
