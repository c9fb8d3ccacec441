"""What a workflow works with: scratch folder, object store, stages in processes of their own, steps that remember errors.

It knows no order of the work; see `recaster.remix.workflow` and `recaster.remix.persona_workflow`.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from recaster.errors import Cancelled, RecasterError
from recaster.infra.child import StageCrashed, describe_error, rebuild_error
from recaster.infra.database import Database, OrganizationSession
from recaster.infra.failpoints import Failpoint, reach
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore, object_key
from recaster.remix.stage_runner import StageRunner, StagesInChildren
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Stage

STAGE_TRIES: Final = 2
"""How often a stage is started in one attempt when its process dies."""


class Steps(Protocol):
    """What a workflow needs of the durable engine while it runs."""

    def step(self, name: str, function: Callable[[], Any]) -> Any:
        """Run `function` once for this workflow and remember its JSON result over crashes."""

    def transaction_step(self, name: str, function: Callable[[OrganizationSession], Any]) -> Any:
        """Run `function` in one database transaction together with the engine's own mark that it was done."""

    def continue_later(self, workflow: str, job_id: str, *, organization_id: str, number: int, seconds: float) -> None:
        """Begin the job's workflow once more after `seconds`; the same `number` twice is once."""


class Workbench:
    """What all workflows share: scratch folders, objects, child processes, and steps that hand on errors as values."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: ObjectStore,
        heavy: threading.Semaphore,
        run_stage: StageRunner | None = None,
    ) -> None:
        """`heavy` bounds how many stages of this worker run at the same time; `run_stage` is `StagesInChildren`."""
        self.settings = settings
        self.database = database
        self.storage = storage
        self._heavy = heavy
        self._run_stage = run_stage or StagesInChildren(settings)

    def scratch(self, job_id: str) -> Path:
        """Return the job's scratch folder."""
        folder = self.settings.folder("work") / job_id
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def clear(self, job_id: str) -> None:
        """Remove the job's scratch folder."""
        shutil.rmtree(self.settings.folder("work") / job_id, ignore_errors=True)

    def local(self, key: str, target: Path) -> Path:
        """Return `target`, brought from the object store if it is not there."""
        if not target.is_file():
            self.storage.fetch(key, target)
        return target

    def keep(self, folder: tuple[str, ...], path: Path) -> str:
        """Store a file under a name made from its content and return its key."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        key = object_key(*folder, f"{path.stem}-{digest}{path.suffix}")
        self.storage.put_file(key, path)
        reach(Failpoint.OBJECT_STORED)
        return key

    def stage(self, job_id: str, stage: Stage, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run one stage, in a process of its own, with its progress going to the job row."""
        jobs.report(self.database, job_id, stage)
        reach(Failpoint.STAGE_BEGUN)
        crash: StageCrashed | None = None
        for _ in range(STAGE_TRIES):
            try:
                with self._heavy:
                    result = self._run_stage(
                        name,
                        {"scratch": str(self.scratch(job_id)), **request},
                        progress=lambda done, total: jobs.report(self.database, job_id, stage, done / max(total, 1)),
                        is_cancelled=lambda: jobs.is_cancelled(self.database, job_id),
                    )
                reach(Failpoint.STAGE_DONE)
                return result
            except StageCrashed as error:
                crash = error
        assert crash is not None
        raise crash

    def attempt(self, steps: Steps, name: str, function: Callable[[], Any]) -> Any:
        """Run a step whose known errors are remembered like results, and raise them here."""

        def guarded() -> dict[str, Any]:
            try:
                return {"result": function()}
            except Cancelled:
                return {"cancelled": True}
            except RecasterError as error:
                return {"error": describe_error(error)}

        outcome = steps.step(name, guarded)
        if "cancelled" in outcome:
            raise Cancelled("The job was cancelled.")
        if "error" in outcome:
            raise rebuild_error(outcome["error"])
        return outcome["result"]
