"""A small language model on this machine, served by llama.cpp inside this process through a real OpenAI-compatible endpoint.

It takes the same way as any provider: same client, same schema, same checks. The model that is declared for it is too
small to write well; it proves the way without a network, and any other GGUF file may take its place. The runtime is the
extra `local`. The endpoint listens on a loopback port with a key of its own.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from recaster.errors import NotInstalled
from recaster.media.copywriting.model import CopyAdapter, CopyRequest, CopyResult, Fits
from recaster.media.copywriting.provider import ProviderAdapter, ProviderSettings
from recaster.media.progress import Progress, silent

_CONTEXT_TOKENS = 8192
_QUIET = -1


class LocalServer:
    """An OpenAI-compatible server on a loopback port; it ends with the object."""

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        """Load the model and start to listen.

        `threads` above one stalls on a machine that is busy with other work: llama.cpp's threads wait for each other.

        Raises:
            NotInstalled: the extra `local` is not there.
        """
        try:
            import xllamacpp
        except ImportError as error:
            raise NotInstalled(
                "The copy adapter `local` needs the extra `local`: `pip install 'recaster[local]'`."
            ) from error
        self.key = secrets.token_urlsafe(16)
        parameters: Any = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_ctx = _CONTEXT_TOKENS
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.api_keys = [self.key]
        parameters.verbosity = _QUIET
        parameters.warmup = False
        self._server: Any = xllamacpp.Server(parameters)

    @property
    def base_url(self) -> str:
        """Address of the API, ending before `/chat/completions`."""
        return f"{self._server.listening_address}/v1"


class LocalAdapter:
    """`CopyAdapter` on a model file. The server starts with the first video and stays for the adapter's life."""

    def __init__(
        self,
        model: Path,
        fallback: CopyAdapter,
        *,
        threads: int = 1,
        timeout_seconds: float = 60.0,
        deadline_seconds: float = 180.0,
    ) -> None:
        self._model, self._fallback, self._threads = model, fallback, threads
        self._timeout, self._deadline = timeout_seconds, deadline_seconds
        self._server: LocalServer | None = None

    @property
    def name(self) -> str:
        """Name of the adapter with the model file and prompt version, as stored in a plan."""
        return self._adapter(ProviderSettings("http://127.0.0.1", self._model.stem)).name

    def adapt(self, request: CopyRequest, fits: Fits, progress: Progress = silent) -> CopyResult:
        """Write the texts; see `CopyAdapter.adapt`."""
        if self._server is None:
            self._server = LocalServer(self._model, threads=self._threads)
        settings = ProviderSettings(
            base_url=self._server.base_url,
            model=self._model.stem,
            api_key=self._server.key,
            temperature=0.3,
            timeout_seconds=self._timeout,
            deadline_seconds=self._deadline,
            max_tokens=1000,
            tries=2,
            bounded=True,
        )
        return self._adapter(settings).adapt(request, fits, progress)

    def _adapter(self, settings: ProviderSettings) -> ProviderAdapter:
        return ProviderAdapter(settings, self._fallback)
