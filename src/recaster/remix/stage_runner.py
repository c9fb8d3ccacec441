"""Who runs a stage of the work. The workflow only knows the protocol; what a stage does is in `recaster.remix.stages`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from recaster.errors import InvalidInput
from recaster.infra.child import PROXY_VARIABLES, run_in_child
from recaster.infra.egress_proxy import EgressProfile, EgressProxy
from recaster.infra.libraries import PIXEL_LIBRARIES
from recaster.infra.models import ModelStore
from recaster.infra.sandbox import SandboxPolicy
from recaster.infra.settings import Settings
from recaster.media.overlays import find_tesseract
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
    ) -> dict[str, Any]:
        """Do the stage on a JSON request, whose `scratch` is the job's folder, and return its JSON result.

        Raises:
            Cancelled: `is_cancelled` said yes.
            StageCrashed: the stage's process died without an answer; it may be tried again.
            RecasterError: the stage's own refusal.
        """


ASKING: Final = "adapt"
"""The one stage that may have to ask a language model, with the operator's key."""
READING: Final = ("analyse", "render")
"""Stages that read text, for which they may start Tesseract where it is installed."""
PROVIDER_WAY: Final = "provider"
"""Profile of the egress proxy: it leads to the language model of the settings and to nothing else."""
PROVIDER_URLS: Final = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}
"""Where the providers' own clients go when no address is set."""
CPU_SECONDS: Final = 6 * 3600
"""Processor time of one stage, all its threads together."""
FILE_BYTES: Final = 4_000_000_000
"""Size of a file that a stage writes: masks and plates of a clip are larger than the clip."""


def provider_profile(settings: Settings) -> EgressProfile:
    """Return the way to the language models of the settings. They are allowed by name, wherever their addresses lead."""
    asked = [(settings.copy_base_url, settings.copy_family)]
    if settings.copy_second_model:
        asked.append((settings.copy_second_base_url, settings.copy_second_family))
    return EgressProfile(
        PROVIDER_WAY,
        hosts=(),
        endpoints=frozenset(_endpoint(url or PROVIDER_URLS[family]) for url, family in asked),
        response_bytes=20_000_000,
        # A model may think for minutes without a word.
        least_bytes_per_second=0,
        seconds=1800.0,
    )


def _endpoint(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


class StagesInChildren:
    """Runs each stage in a process of its own, locked up (`recaster.infra.sandbox`): what the product does.

    A stage may write to the folder that its request names as `scratch`, and read that and the models. None has a network,
    but for the one that may ask a language model: it reaches the egress proxy and through it that model. The engines are those that the settings choose; a request's own `engines` win over them.
    """

    def __init__(self, settings: Settings, proxy: EgressProxy | None = None) -> None:
        """`proxy` has the profile `provider_profile`; None where no language model is asked.

        Raises:
            InvalidInput: the settings choose the copy adapter `local`, which needs a loopback that a stage does not have.
        """
        if settings.copy_adapter == "local":
            raise InvalidInput(
                "The copy adapter `local` is for `recaster copy` and `recaster remix`: a worker's stages are locked up "
                "without the loopback port that it listens on. Set RECASTER_COPY_ADAPTER to `formula` or `provider`.",
                field="copy_adapter",
                value="local",
                limit="formula, provider",
            )
        self._settings = settings
        self._proxy = proxy
        self._models = ModelStore(settings.folder("models"))

    def __call__(
        self,
        stage: str,
        request: Mapping[str, Any],
        *,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> dict[str, Any]:
        """Run the function of `recaster.remix.stages` that bears the stage's name."""
        return run_in_child(
            f"recaster.remix.stages:{stage}",
            {**request, "engines": {**engine_choice(self._settings, self._models), **request.get("engines", {})}},
            progress=progress,
            is_cancelled=is_cancelled,
            sandbox=self._policy(stage, request["scratch"]),
            environment=self._environment(stage),
        )

    def _asks(self, stage: str) -> EgressProxy | None:
        return self._proxy if stage == ASKING and self._settings.copy_adapter == "provider" else None

    def _environment(self, stage: str) -> dict[str, str]:
        environment = {**self._settings.environment(), **PIXEL_LIBRARIES}
        proxy = self._asks(stage)
        if proxy is not None:
            environment["RECASTER_COPY_API_KEY"] = self._settings.copy_api_key.get_secret_value()
            environment["RECASTER_COPY_SECOND_API_KEY"] = self._settings.copy_second_api_key.get_secret_value()
            environment |= dict.fromkeys(PROXY_VARIABLES, proxy.url(PROVIDER_WAY))
        return environment

    def _policy(self, stage: str, scratch: str) -> SandboxPolicy:
        settings = self._settings
        proxy = self._asks(stage)
        readable = (settings.models_folder, settings.engines_folder, settings.copy_formulas)
        return SandboxPolicy(
            readable=tuple(str(folder) for folder in readable if folder is not None),
            writable=(scratch,),
            network="none" if proxy is None else "proxy",
            proxy_socket="" if proxy is None else proxy.socket_path,
            proxy_port=0 if proxy is None else proxy.port,
            memory_bytes=settings.stage_memory_bytes,
            cpu_seconds=CPU_SECONDS,
            file_bytes=FILE_BYTES,
            open_files=1024,
            programs=stage in READING and find_tesseract() is not None,
            strict=settings.isolation == "strict",
        )
