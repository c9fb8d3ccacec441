"""Wire shapes of the remix request (contract section 1)."""

from __future__ import annotations

from typing import Literal

from recaster.service.schemas import RequestBody, View


class VideoRemixRequest(RequestBody):
    """What to remix, and with whom. One of `socialAccountId` and `influencerId` must lead to an influencer."""

    tiktok_video_id: str
    """17-20 digits, always a string."""
    social_account_id: str | None = None
    influencer_id: str | None = None


class AcceptedView(View):
    """The job that was started. `containerIds` always holds exactly one id."""

    job_id: str
    kind: Literal["content_generate"] = "content_generate"
    status: Literal["running"] = "running"
    container_ids: list[str]
    location_url: str
