"""Who runs a stage of the work. The workflow only knows the protocol; what a stage does is in `recaster.remix.stages`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from recaster.infra.child import run_in_child
from recaster.infra.models import ModelStore
from recaster.infra.sandbox import SandboxPolicy
from recaster.infra.settings import Settings
from recaster.media.progress import Progress
from recaster.remix.engines import engine_choice


class StageRunner(Protocol):
    """Runs one stage of the work to its end."""

    def __call__(
        self, stage: str, request: Mapping[str, Any], *, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        """Do the stage on a JSON request and return its JSON result.

        Raises:
            Cancelled: `is_cancelled` said yes.
            StageCrashed: the stage's process died without an answer; it may be tried again.
            RecasterError: the stage's own refusal.
        """


UNLOCKED: Final = frozenset({"adapt"})
"""Stages that decode nothing of a stranger's and may have to ask a language model, with the operator's key."""
CPU_SECONDS: Final = 6 * 3600
"""Processor time of one stage, all its threads together."""
FILE_BYTES: Final = 4_000_000_000
"""Size of a file that a stage writes: masks and plates of a clip are larger than the clip."""


class StagesInChildren:
    """Runs each stage in a process of its own, locked up (`recaster.infra.sandbox`): what the product does.

    A stage may write to the folder that its request names as `scratch`, and read that and the models. The engines are those that the settings choose; a request's own `engines` win over them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models = ModelStore(settings.folder("models"))

    def __call__(
        self, stage: str, request: Mapping[str, Any], *, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        """Run the function of `recaster.remix.stages` that bears the stage's name."""
        return run_in_child(
            f"recaster.remix.stages:{stage}",
            {**request, "engines": {**engine_choice(self._settings, self._models), **request.get("engines", {})}},
            progress=progress,
            is_cancelled=is_cancelled,
            sandbox=None if stage in UNLOCKED else self._policy(request["scratch"]),
            environment=None if stage in UNLOCKED else self._settings.environment(),
        )

    def _policy(self, scratch: str) -> SandboxPolicy:
        settings = self._settings
        return SandboxPolicy(
            readable=(str(settings.models_folder),),
            writable=(scratch,),
            memory_bytes=settings.stage_memory_bytes,
            cpu_seconds=CPU_SECONDS,
            file_bytes=FILE_BYTES,
            open_files=1024,
            strict=settings.isolation == "strict",
        )
