"""Who runs a stage of the work. The workflow only knows the protocol; what a stage does is in `recaster.remix.stages`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from recaster.infra.child import run_in_child
from recaster.infra.models import ModelStore
from recaster.infra.sandbox import SandboxPolicy
from recaster.infra.settings import Settings
from recaster.media.progress import Progress
from recaster.remix.engines import engine_choice


class StageRunner(Protocol):
    """Runs one stage of the work to its end."""

    def __call__(
        self,
        stage: str,
        request: Mapping[str, Any],
        *,
        progress: Progress,
        is_cancelled: Callable[[], bool],
        sandbox: SandboxPolicy | None,
    ) -> dict[str, Any]:
        """Do the stage on a JSON request and return its JSON result.

        `sandbox` says what the stage may do; None where it is not locked up, because it decodes nothing.

        Raises:
            Cancelled: `is_cancelled` said yes.
            StageCrashed: the stage's process died without an answer; it may be tried again.
            RecasterError: the stage's own refusal.
        """


class StagesInChildren:
    """Runs each stage in a process of its own: what the product does.

    The engines are those that the settings choose; a request's own `engines` win over them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models = ModelStore(settings.folder("models"))

    def __call__(
        self,
        stage: str,
        request: Mapping[str, Any],
        *,
        progress: Progress,
        is_cancelled: Callable[[], bool],
        sandbox: SandboxPolicy | None,
    ) -> dict[str, Any]:
        """Run the function of `recaster.remix.stages` that bears the stage's name."""
        return run_in_child(
            f"recaster.remix.stages:{stage}",
            {**request, "engines": {**engine_choice(self._settings, self._models), **request.get("engines", {})}},
            progress=progress,
            is_cancelled=is_cancelled,
            sandbox=sandbox,
            environment=self._settings.environment() if sandbox else None,
        )
