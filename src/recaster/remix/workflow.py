"""The durable order of a remix: which stage follows which, what is kept between them, and how a job ends.

`RemixWorkflow.run` is what the worker registers with the engine. It calls each stage through the engine's `step`, which
remembers the result: after a crash the stages that were finished are not run again. What a stage hands on lies in the
object store under a name made from its content; the scratch folder may vanish at any time.
Pixels are touched only by whoever runs the stages (`recaster.remix.stage_runner`).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from recaster.errors import Cancelled, ConsentMissing, InfluencerUnusable, RecasterError
from recaster.infra.child import describe_error, rebuild_error
from recaster.infra.database import Database, OrganizationSession
from recaster.infra.failpoints import Failpoint, reach
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore, object_key
from recaster.remix.analysis import ANALYSIS_VERSION
from recaster.remix.analysis import FILES as ANALYSIS_FILES
from recaster.remix.arrival import SourceArrival, put_off
from recaster.remix.stage_runner import StageRunner
from recaster.remix.workbench import Steps, Workbench
from recaster.service.fetching.errors import TryLater
from recaster.service.influencers import service as influencers
from recaster.service.influencers.model import Influencer
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Job, Stage
from recaster.service.projects.model import Project
from recaster.service.remixes import completion
from recaster.service.remixes.service import WORKFLOW as REMIX
from recaster.service.sandbox import service as sandbox
from recaster.service.sources import service as sources
from recaster.service.sources.finding import SourceFinder

INFLUENCER_WAIT_SECONDS: Final = 3600
"""How long a job waits for an influencer that is being prepared."""
_LONGEST_PAUSE: Final = 30
LOG: Final = structlog.get_logger(__name__)


class PutOff(Exception):
    """The job waits: the workflow ends here and another one of the same job goes on later. Nothing has failed."""


class RemixWorkflow(Workbench):
    """One remix, from the accepted job to the published asset."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: ObjectStore,
        heavy: threading.Semaphore,
        finder: SourceFinder,
        run_stage: StageRunner | None = None,
    ) -> None:
        super().__init__(settings, database, storage, heavy, run_stage)
        self._arrival = SourceArrival(settings, database, storage, finder)

    def run(self, job_id: str, steps: Steps) -> None:
        """Do the job. It ends completed, failed with a code, or canceled, whatever goes wrong; nothing is raised."""
        try:
            jobs.begin_attempt(self.database, job_id, self.settings.max_job_attempts)
            reach(Failpoint.ATTEMPT_BEGUN)
            self._remix(job_id, steps)
        except PutOff:
            # Another workflow of this job goes on after the pause.
            pass
        except Cancelled:
            self._discard(job_id)
        except RecasterError as error:
            self._fail(job_id, error)
        except Exception as error:
            # The boundary: past it the engine would call the workflow ended, and the job would run for ever. What the
            # engine itself raises to stop a workflow is no `Exception` and passes.
            LOG.exception("workflow broke", job_id=job_id)
            self._fail(job_id, error)
        finally:
            self.clear(job_id)

    def _fail(self, job_id: str, error: Exception) -> None:
        jobs.fail(self.database, job_id, error)
        self._discard(job_id)

    def _remix(self, job_id: str, steps: Steps) -> None:
        persona_key = self._persona(job_id, steps)
        source = self._source(job_id, steps)
        analysis = self.attempt(steps, "analyse", lambda: self._analyse(job_id, source))
        plan = self.attempt(steps, "adapt", lambda: self._adapt(job_id, source, analysis, persona_key))
        rendered = self.attempt(steps, "render", lambda: self._render(job_id, source, analysis, plan, persona_key))
        self.attempt(steps, "finalize", lambda: jobs.begin_finalizing(self.database, job_id))
        reach(Failpoint.FINALIZING)
        steps.transaction_step(
            "publish", lambda session: completion.complete(session, job_id, _completion(rendered, source))
        )
        reach(Failpoint.PUBLISHED)

    def _persona(self, job_id: str, steps: Steps) -> str:
        key = self.attempt(steps, "influencer", lambda: self._wait_for_persona(job_id))
        return str(key)

    def _wait_for_persona(self, job_id: str) -> str:
        waited, pause = 0, 1
        while True:
            key = self._ready_persona(job_id)
            if key is not None:
                return key
            if waited >= INFLUENCER_WAIT_SECONDS:
                raise InfluencerUnusable(
                    f"The influencer was not ready within {INFLUENCER_WAIT_SECONDS} seconds. Add reference images with "
                    "POST /v1/influencers/{id}/reference-images and start the remix again."
                )
            if jobs.is_cancelled(self.database, job_id):
                raise Cancelled("The job was cancelled while it waited for its influencer.")
            time.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, _LONGEST_PAUSE)

    def _ready_persona(self, job_id: str) -> str | None:
        """Return the key of the persona, None while it is being prepared."""
        with self.database.system_read() as session:
            influencer = self._influencer(session, job_id)
            if influencer.status == "failed":
                raise InfluencerUnusable(
                    "The influencer's reference pictures do not make a persona. Add other pictures."
                )
            if influencer.status == "ready" and influencer.persona_key is not None:
                return influencer.persona_key
        jobs.report(self.database, job_id, Stage.WAITING_FOR_INFLUENCER)
        return None

    def _influencer(self, session: OrganizationSession, job_id: str) -> Influencer:
        return session.get_one(Influencer, session.get_one(Job, job_id).input["influencerId"])

    def _source(self, job_id: str, steps: Steps) -> dict[str, str]:
        """Return the source file, or put the job off.

        Raises:
            PutOff: another workflow of the job will go on.
        """
        try:
            source: dict[str, str] = self.attempt(steps, "fetch", lambda: self._fetch(job_id))
        except TryLater as later:
            self._put_off(job_id, steps, later)
            raise PutOff from later
        return source

    def _put_off(self, job_id: str, steps: Steps, later: TryLater) -> None:
        def decide(session: OrganizationSession) -> dict[str, Any]:
            try:
                number, seconds = put_off(session, self.settings, job_id, later)
            except RecasterError as error:
                return {"error": describe_error(error)}
            organization_id = session.get_one(Job, job_id).organization_id
            return {"organization_id": organization_id, "number": number, "seconds": seconds}

        decided = steps.transaction_step("put off", decide)
        if "error" in decided:
            raise rebuild_error(decided["error"])
        steps.step("continue later", lambda: steps.continue_later(REMIX, job_id, **decided))

    def _fetch(self, job_id: str) -> dict[str, str]:
        jobs.report(self.database, job_id, Stage.FETCHING_SOURCE)
        with self.database.system_read() as session:
            in_sandbox = session.get_one(Job, job_id).environment == "test"
        kept = sandbox.keep_source(self.storage) if in_sandbox else self._bring(job_id)
        clip = self._clip(job_id, kept)
        self.stage(job_id, Stage.FETCHING_SOURCE, "probe", {"clip": str(clip), "sha256": kept["sha256"]})
        return kept

    def _bring(self, job_id: str) -> dict[str, Any]:
        return self._arrival.bring(
            job_id,
            self.scratch(job_id),
            progress=lambda done, total: jobs.report(
                self.database, job_id, Stage.FETCHING_SOURCE, 0.9 * done / max(total, 1)
            ),
            is_cancelled=lambda: jobs.is_cancelled(self.database, job_id),
        )

    def _clip(self, job_id: str, source: Mapping[str, str]) -> Path:
        return self.local(source["key"], self.scratch(job_id) / "source")

    def _analyse(self, job_id: str, source: Mapping[str, str]) -> dict[str, str]:
        keys = {name: object_key("analyses", source["sha256"], f"v{ANALYSIS_VERSION}", name) for name in ANALYSIS_FILES}
        if not all(self.storage.exists(key) for key in keys.values()):
            folder = self.scratch(job_id) / "analysis"
            result = self.stage(
                job_id,
                Stage.READING_OVERLAYS,
                "analyse",
                {"clip": str(self._clip(job_id, source)), "sha256": source["sha256"], "folder": str(folder)},
            )
            for name, key in keys.items():
                self.storage.put_file(key, folder / name)
            with self.database.system_write() as session:
                sources.keep_measured(session, source["sha256"], result["measured"])
        jobs.report(self.database, job_id, Stage.READING_OVERLAYS, 1.0)
        return keys

    def _analysis(self, job_id: str, keys: Mapping[str, str]) -> Path:
        folder = self.scratch(job_id) / "analysis"
        folder.mkdir(exist_ok=True)
        for name, key in keys.items():
            self.local(key, folder / name)
        return folder

    def _adapt(
        self, job_id: str, source: Mapping[str, str], analysis: Mapping[str, str], persona_key: str
    ) -> dict[str, str]:
        with self.database.system_read() as session:
            influencer = self._influencer(session, job_id)
            # Whether the project was archived meanwhile is judged once, before rendering, and said in its own words.
            brand = brand_record(session.get_one(Project, influencer.project_id), influencer)
            # The sandbox asks no language model: its results are the same every time, and cost nobody anything.
            engines = {"copy_adapter": "formula"} if session.get_one(Job, job_id).environment == "test" else {}
        plan = self.scratch(job_id) / "plan.json"
        self.stage(
            job_id,
            Stage.ADAPTING_COPY,
            "adapt",
            {
                "analysis": str(self._analysis(job_id, analysis)),
                "persona_sha256": hashlib.sha256(persona_key.encode()).hexdigest(),
                "brand": brand,
                "plan": str(plan),
                "engines": engines,
            },
        )
        return {"plan": self.keep(("jobs", job_id), plan)}

    def _render(
        self,
        job_id: str,
        source: Mapping[str, str],
        analysis: Mapping[str, str],
        plan: Mapping[str, str],
        persona_key: str,
    ) -> dict[str, Any]:
        self._require_consent(job_id)
        folder = self.scratch(job_id)
        result = self.stage(
            job_id,
            Stage.GENERATING_VISUALS,
            "render",
            {
                "clip": str(self._clip(job_id, source)),
                "analysis": str(self._analysis(job_id, analysis)),
                "plan": str(self.local(plan["plan"], folder / "plan.json")),
                "persona": str(self.local(persona_key, folder / "persona.npz")),
                "target": str(folder / "remix.mp4"),
                "thumbnail": str(folder / "thumbnail.jpg"),
            },
        )
        keys = {name: self.keep(("jobs", job_id), folder / name) for name in ("remix.mp4", "thumbnail.jpg")}
        return {**result, "keys": keys}

    def _require_consent(self, job_id: str) -> None:
        with self.database.system_read() as session:
            influencer = self._influencer(session, job_id)
            try:
                influencers.require_usable(session, influencer, session.now)
            except ConsentMissing:
                raise
            except RecasterError as error:
                raise InfluencerUnusable(f"The influencer can no longer be used: {error.message}") from error

    def _discard(self, job_id: str) -> None:
        """Remove what the job had stored: a job that did not complete leaves no asset behind."""
        with self.database.system_read() as session:
            if session.get_one(Job, job_id).status == "completed":
                return
        for key in self.storage.keys(object_key("jobs", job_id)):
            self.storage.delete(key)


def brand_record(project: Any, influencer: Influencer) -> dict[str, Any]:
    """Return what a copy adapter may know: the project's fields in their wire names, with the influencer's voice on top."""
    return {
        "name": project.name,
        "appName": project.app_name,
        "appDescription": project.app_description,
        "tagline": project.tagline,
        "brandVoice": influencer.brand_voice or project.brand_voice,
        "audience": project.audience,
        "primaryLanguage": influencer.language or project.primary_language,
        "keywords": project.keywords,
        "bannedWords": project.banned_words,
        "requiredTerms": project.required_terms,
        "approvedFacts": project.approved_facts,
        "messageBank": project.message_bank,
        "vocabulary": (project.custom or {}).get("vocabulary"),
    }


def _completion(rendered: Mapping[str, Any], source: Mapping[str, Any]) -> completion.Completion:
    """Turn the JSON results of the stages into what the container gets."""
    keys = rendered["keys"]
    return completion.Completion(
        assets=[
            completion.NewAsset(kind="video", object_key=keys["remix.mp4"], **rendered["video"]),
            completion.NewAsset(kind="thumbnail", object_key=keys["thumbnail.jpg"], **rendered["thumbnail"]),
        ],
        overlays=[
            completion.NewOverlay(**{**overlay, "box": tuple(overlay["box"])}) for overlay in rendered["overlays"]
        ],
        disclosure_label=rendered["disclosure_label"],
        quality={**rendered["quality"], "sourceFetchedWith": source.get("fetchedWith")},
    )
