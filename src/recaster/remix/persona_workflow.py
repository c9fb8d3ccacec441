"""The durable workflow that turns an influencer's reference pictures into a persona, which remixes then use."""

from __future__ import annotations

from typing import Final

import structlog

from recaster.errors import Cancelled, RecasterError
from recaster.infra.database import OrganizationSession
from recaster.remix.workbench import Steps, Workbench
from recaster.service.influencers import service as influencers
from recaster.service.influencers.model import Influencer
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Job, Stage

LOG: Final = structlog.get_logger(__name__)


class PersonaWorkflow(Workbench):
    """Turns an influencer's reference pictures into a persona."""

    def run(self, job_id: str, steps: Steps) -> None:
        """Do the job; the influencer ends `ready`, `failed`, or `pending` again when the job was cancelled."""
        try:
            jobs.begin_attempt(self.database, job_id, self.settings.max_job_attempts)
            key = self.attempt(steps, "prepare", lambda: self._prepare(job_id))
            steps.transaction_step("ready", lambda session: self._ready(session, job_id, key))
        except Cancelled:
            # Also raised when a finished job is taken up again after a crash: then there is nothing to take back.
            with self.database.system_write() as session:
                influencer = self._influencer(session, job_id)
                if self._is_preparing(influencer, job_id):
                    influencers.mark_pending(session, influencer)
        except RecasterError as error:
            self._fail(job_id, error)
        except Exception as error:
            # The boundary, as in `RemixWorkflow.run`.
            LOG.exception("workflow broke", job_id=job_id)
            self._fail(job_id, error)
        finally:
            self.clear(job_id)

    def _fail(self, job_id: str, error: Exception) -> None:
        shown = jobs.shown_error(error)
        with self.database.system_write() as session:
            influencer = self._influencer(session, job_id)
            if self._is_preparing(influencer, job_id):
                influencers.mark_failed(session, influencer, **shown)
        jobs.fail(self.database, job_id, error)

    def _is_preparing(self, influencer: Influencer, job_id: str) -> bool:
        return influencer.status == "training" and influencer.training_job_id == job_id

    def _influencer(self, session: OrganizationSession, job_id: str) -> Influencer:
        return session.get_one(Influencer, session.get_one(Job, job_id).input["influencerId"])

    def _prepare(self, job_id: str) -> str:
        with self.database.system_read() as session:
            influencer = self._influencer(session, job_id)
            influencer_id = influencer.id
            pictures = [(asset.id, asset.object_key) for asset in influencers.reference_assets(session, influencer)]
        folder = self.scratch(job_id)
        files = [{"id": asset, "path": str(self.local(key, folder / asset))} for asset, key in pictures]
        target = folder / "persona.npz"
        self.stage(job_id, Stage.GENERATING_VISUALS, "prepare_persona", {"pictures": files, "target": str(target)})
        return self.keep(("personas", influencer_id), target)

    def _ready(self, session: OrganizationSession, job_id: str, key: str) -> None:
        influencers.mark_ready(session, self._influencer(session, job_id), key)
        jobs.finish(session, jobs.locked_running(session, job_id))
