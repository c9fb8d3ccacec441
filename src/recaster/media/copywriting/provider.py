"""A language model writes the texts of a whole video in one call: any provider, or any OpenAI-compatible address.

The model's answer is typed and then checked by the same hard rules as any other; the reasons go back to it for another
try. A line that still breaks a rule is asked for alone, with its reasons; a line that fails even so falls to the adapter
underneath. Where the model cannot be had, the second model is asked, then the adapter underneath writes everything.

The client libraries are loaded with the first call, not with the module: most processes never ask a model.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from recaster.errors import InvalidInput, NotInstalled
from recaster.media.copywriting.brand import base_language
from recaster.media.copywriting.checks import Violation, check_copy, check_line
from recaster.media.copywriting.language import detect_language, words
from recaster.media.copywriting.model import (
    KEPT_ROLES,
    AdaptedLine,
    CopyAdapter,
    CopyLine,
    CopyRequest,
    CopyResult,
    Fits,
    kept,
)
from recaster.media.copywriting.prompt import INSTRUCTIONS, PROMPT_VERSION, prompt_digest, video_document
from recaster.media.overlays.model import OverlayRole
from recaster.media.progress import Progress, silent

if TYPE_CHECKING:
    from pydantic_ai import Agent
    from pydantic_ai.models import Model
    from pydantic_ai.usage import RunUsage

VERSION = "3"
Family = Literal["openai", "anthropic", "google"]
"""Whose protocol is spoken. `openai` is also that of every OpenAI-compatible server, a local one included."""
_MOST_REPAIRS = 8
"""Lines of one video that are asked for alone; with more of them the model is not up to the job."""


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """Where a model is."""

    model: str
    family: Family = "openai"
    base_url: str = ""
    """Address of the API; empty for the provider's own. For `openai` it ends before `/chat/completions`."""
    api_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """Which model writes and how long it may take. Configured by the operator, never by a client."""

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    family: Family = "openai"
    second: ModelAddress | None = None
    """Asked where the first one cannot be reached or gives no acceptable answer."""
    temperature: float = 0.7
    timeout_seconds: float = 60.0
    """For one answer."""
    deadline_seconds: float = 180.0
    """For the whole video, corrections and repairs included."""
    max_tokens: int = 2000
    """For one answer."""
    max_total_tokens: int = 40_000
    """For the whole video, what is sent included."""
    tries: int = 3
    """How often the model may answer for the whole video, the corrections included."""
    bounded: bool = False
    """Whether the schema names the ids, the number of lines and the longest text, for servers that enforce all of it."""

    @property
    def first(self) -> ModelAddress:
        """The model that is asked first."""
        return ModelAddress(self.model, self.family, self.base_url, self.api_key)


class LineText(BaseModel):
    """The new text of one line."""

    model_config = ConfigDict(extra="forbid")
    id: str
    text: str


class VideoTexts(BaseModel):
    """One text for every line of the video."""

    model_config = ConfigDict(extra="forbid")
    lines: list[LineText]


class ProviderAdapter:
    """`CopyAdapter` on a language model. `fallback` takes the lines for which the model has no acceptable text."""

    def __init__(
        self,
        settings: ProviderSettings,
        fallback: CopyAdapter,
        model: Model | None = None,
        second: Model | None = None,
    ) -> None:
        """`model` and `second` replace the ones that `settings` describe, for tests.

        Raises:
            InvalidInput: no model name is set, or no address for a model that needs one.
        """
        if model is None:
            for address in (settings.first, settings.second):
                if address is not None and not (address.model and (address.base_url or address.api_key)):
                    raise InvalidInput(
                        "The copy adapter `provider` needs the name of a model and its address or key: set "
                        "RECASTER_COPY_MODEL and RECASTER_COPY_BASE_URL or RECASTER_COPY_API_KEY, or choose the adapter "
                        "`formula`.",
                        field="copy_model",
                        value=address.model,
                    )
        self._settings = settings
        self._fallback = fallback
        self._given = tuple(one for one in (model, second) if one is not None)

    @property
    def name(self) -> str:
        """Name of the adapter with model and prompt version, as stored in a plan."""
        return f"provider/{VERSION} {self._settings.model} prompt {PROMPT_VERSION}"

    def adapt(self, request: CopyRequest, fits: Fits, progress: Progress = silent) -> CopyResult:
        """Write the texts; see `CopyAdapter.adapt`. A model that cannot be reached leaves all lines to the fallback.

        `reason` of each line says where the model failed; `settings` of the result says what was asked of whom.
        """
        source = request.source_language or detect_language(line.text for line in request.lines)
        request = replace(request, source_language=source)
        translated = source is not None and base_language(source) != base_language(request.language)
        wanted = tuple(
            line
            for line in request.lines
            if words(line.text) and (line.role not in KEPT_ROLES or (translated and line.role is OverlayRole.CAPTION))
        )
        progress(0, 3)
        accepted: dict[str, AdaptedLine] = {}
        troubles: dict[str, str] = {}
        conversation = _Conversation(self._settings, self._given, request, fits, progress)
        if wanted:
            accepted, troubles = conversation.write(wanted)
        progress(2, 3)
        result = self._completed(request, fits, accepted, troubles)
        # A rule of the whole video, such as a near-copy between a model's line and a formula: all lines from one hand.
        if check_copy(request, result, fits):
            result = self._completed(request, fits, {}, troubles)
        progress(3, 3)
        return replace(result, settings=conversation.record())

    def _completed(
        self, request: CopyRequest, fits: Fits, accepted: Mapping[str, AdaptedLine], troubles: Mapping[str, str]
    ) -> CopyResult:
        """Take the lines that are not accepted from the fallback."""
        if len(accepted) == len(request.lines):
            return CopyResult(tuple(accepted[line.id] for line in request.lines), self.name)
        # A required term that the model has placed is no longer asked of the fallback.
        brand = request.brand.model_copy(update={"required_terms": ()}) if accepted else request.brand
        rest = tuple(line for line in request.lines if line.id not in accepted)
        fallen = self._fallback.adapt(replace(request, lines=rest, brand=brand), fits)
        written = {line.id: _explained(line, troubles.get(line.id, "")) for line in fallen.lines} | dict(accepted)
        return CopyResult(tuple(written[line.id] for line in request.lines), self.name)


class _Conversation:
    """What is said between us and the models for one video."""

    def __init__(
        self,
        settings: ProviderSettings,
        given: tuple[Model, ...],
        request: CopyRequest,
        fits: Fits,
        progress: Progress,
    ) -> None:
        from pydantic_ai.usage import RunUsage

        self.settings, self.given, self.request, self.fits, self.progress = settings, given, request, fits, progress
        self.usage: RunUsage = RunUsage()
        self.started = time.monotonic()
        self.asked: list[str] = []

    def write(self, wanted: Sequence[CopyLine]) -> tuple[dict[str, AdaptedLine], dict[str, str]]:
        """Return the acceptable lines, and for the others what went wrong."""
        accepted: dict[str, AdaptedLine] = {}
        troubles: dict[str, str] = {}
        for position in range(len(self.given) or (2 if self.settings.second else 1)):
            missing = [line for line in wanted if line.id not in accepted]
            if not missing:
                break
            texts, trouble = self._ask(position, missing, accepted, tries=self.settings.tries)
            refused: dict[str, tuple[Violation, ...]] = {}
            for line in missing:
                if line.id in texts:
                    self._take(line, texts[line.id], accepted, refused)
                troubles[line.id] = trouble or self._why(refused.get(line.id, ()))
            if texts:
                self._repair(position, [line for line in missing if line.id in refused], accepted, refused, troubles)
        return accepted, {line_id: text for line_id, text in troubles.items() if line_id not in accepted}

    def record(self) -> dict[str, Any]:
        """Return what decided the texts, for the plan."""
        settings = self.settings
        return {
            "family": settings.family,
            "model": settings.model,
            "secondModel": settings.second.model if settings.second else None,
            "asked": self.asked,
            "promptVersion": PROMPT_VERSION,
            "promptSha256": prompt_digest(),
            "temperature": settings.temperature,
            "timeoutSeconds": settings.timeout_seconds,
            "deadlineSeconds": settings.deadline_seconds,
            "maxTokens": settings.max_tokens,
            "maxTotalTokens": settings.max_total_tokens,
            "tries": settings.tries,
            "requests": self.usage.requests,
            "inputTokens": self.usage.input_tokens,
            "outputTokens": self.usage.output_tokens,
        }

    def _take(
        self,
        line: CopyLine,
        text: str,
        accepted: dict[str, AdaptedLine],
        refused: dict[str, tuple[Violation, ...]],
    ) -> None:
        new = _adapted(line, text)
        violations = check_line(self.request, line, new, self.fits)
        if violations:
            refused[line.id] = violations
        else:
            accepted[line.id] = new
            refused.pop(line.id, None)

    def _repair(
        self,
        position: int,
        lines: Sequence[CopyLine],
        accepted: dict[str, AdaptedLine],
        refused: dict[str, tuple[Violation, ...]],
        troubles: dict[str, str],
    ) -> None:
        """Ask for each refused line alone, once, with what was wrong with it."""
        if len(lines) > _MOST_REPAIRS:
            return
        for line in lines:
            reasons = {line.id: [violation.message for violation in refused[line.id]]}
            texts, trouble = self._ask(position, [line], accepted, refused=reasons, tries=1)
            if line.id in texts:
                self._take(line, texts[line.id], accepted, refused)
            if line.id in accepted:
                accepted[line.id] = replace(
                    accepted[line.id], reason=f"Written by the language model, repaired: {' '.join(reasons[line.id])}"
                )
            elif trouble:
                troubles[line.id] = trouble

    def _ask(
        self,
        position: int,
        wanted: Sequence[CopyLine],
        accepted: Mapping[str, AdaptedLine],
        *,
        tries: int,
        refused: Mapping[str, Sequence[str]] | None = None,
    ) -> tuple[dict[str, str], str]:
        """Return a model's last texts by id, and what went wrong where something did."""
        from pydantic_ai.exceptions import AgentRunError
        from pydantic_ai.settings import ModelSettings
        from pydantic_ai.usage import UsageLimits

        left = self.settings.deadline_seconds - (time.monotonic() - self.started)
        if left <= 0:
            return {}, "The time for the language model was over."
        last: dict[str, str] = {}
        agent = self._agent(position, wanted, accepted, last, tries)
        document = video_document(
            self.request,
            wanted,
            self.fits,
            accepted={line_id: line.text for line_id, line in accepted.items()},
            refused=refused,
        )
        try:
            agent.run_sync(
                document,
                model_settings=ModelSettings(
                    temperature=self.settings.temperature,
                    timeout=self.settings.timeout_seconds,
                    max_tokens=self.settings.max_tokens,
                ),
                usage=self.usage,
                usage_limits=UsageLimits(
                    request_limit=self.usage.requests + tries, total_tokens_limit=self.settings.max_total_tokens
                ),
                timeout=min(left, self.settings.timeout_seconds * tries),
            )
        except AgentRunError as error:  # the library's root of all that can go wrong in a run, network included
            return last, f"The language model gave no acceptable answer: {type(error).__name__}."
        return last, ""

    def _agent(
        self,
        position: int,
        wanted: Sequence[CopyLine],
        accepted: Mapping[str, AdaptedLine],
        last: dict[str, str],
        tries: int,
    ) -> Agent[object, VideoTexts]:
        from pydantic_ai import Agent, ModelRetry, NativeOutput, ToolOutput

        if self.given:
            model, native = self.given[position], True
        else:
            address = self.settings.first if position == 0 or self.settings.second is None else self.settings.second
            model, native = connect(address), address.family != "anthropic"
        self.asked.append(model.model_name)
        shape = _bounded_shape(wanted) if self.settings.bounded else VideoTexts
        agent: Agent[object, VideoTexts] = Agent(
            model,
            # A JSON schema on the answer itself is what small and local servers enforce best; Anthropic's tools are older
            # and wider spread than its schemas.
            output_type=NativeOutput(shape) if native else ToolOutput(shape),
            instructions=INSTRUCTIONS,
            retries=tries - 1,
        )

        @agent.output_validator
        def judge(answer: VideoTexts) -> VideoTexts:
            self.progress(1, 3)
            given = {line.id: line.text.strip() for line in answer.lines}
            known = {line.id for line in wanted}
            last.update({key: text for key, text in given.items() if key in known})
            reasons = [f"line {line.id} is missing" for line in wanted if line.id not in given]
            reasons += [f"there is no line {key}" for key in given if key not in known]
            reasons = reasons or self._reasons(wanted, accepted, given)
            if reasons and tries > 1:
                raise ModelRetry("Correct these and answer with all lines again:\n" + "\n".join(reasons))
            return answer

        return agent

    def _reasons(
        self, wanted: Sequence[CopyLine], accepted: Mapping[str, AdaptedLine], given: Mapping[str, str]
    ) -> list[str]:
        """Return what is wrong with an answer, as a model is told it."""
        mine = {line.id for line in wanted}
        lines = tuple(
            _adapted(line, given[line.id]) if line.id in mine else accepted.get(line.id, kept(line, ""))
            for line in self.request.lines
        )
        violations = check_copy(self.request, CopyResult(lines, ""), self.fits)
        return [
            f"line {violation.line_id}: {violation.message}" if violation.line_id else violation.message
            for violation in violations
            if violation.line_id is None or violation.line_id in mine
        ]

    @staticmethod
    def _why(violations: Sequence[Violation]) -> str:
        return " ".join(violation.message for violation in violations)


def _bounded_shape(lines: Sequence[CopyLine]) -> type[VideoTexts]:
    """Return the shape of an answer for just these lines: a model that runs on and on is stopped by the schema."""
    longest = max(line.max_graphemes for line in lines)
    ids = "|".join(re.escape(line.id) for line in lines)
    line: Any = create_model(
        "LineText", __base__=LineText, id=(str, Field(pattern=f"^({ids})$")), text=(str, Field(max_length=longest))
    )
    entries: Any = (GenericAlias(list, (line,)), Field(min_length=len(lines), max_length=len(lines)))
    return create_model("VideoTexts", __base__=VideoTexts, lines=entries)


def connect(address: ModelAddress) -> Model:
    """Return the client of a model.

    Raises:
        NotInstalled: the provider's library is an extra that is not there.
    """
    try:
        return _client(address)
    except ImportError as error:
        raise NotInstalled(
            f"Models of the family {address.family} need the extra `providers`: `pip install 'recaster[providers]'`."
        ) from error


def _client(address: ModelAddress) -> Model:
    # Local servers want no key, the client libraries want one.
    key, url = address.api_key or "none", address.base_url or None
    if address.family == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        return AnthropicModel(address.model, provider=AnthropicProvider(api_key=key, base_url=url))
    if address.family == "google":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        return GoogleModel(address.model, provider=GoogleProvider(api_key=key, base_url=url))
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIChatModel(address.model, provider=OpenAIProvider(api_key=key, base_url=url))


def _adapted(line: CopyLine, text: str) -> AdaptedLine:
    return AdaptedLine(line.id, line.role, line.text, text, "adapted", "provider", "Written by the language model.")


def _explained(line: AdaptedLine, trouble: str) -> AdaptedLine:
    return replace(line, reason=f"{line.reason} {trouble}".strip()) if trouble else line
