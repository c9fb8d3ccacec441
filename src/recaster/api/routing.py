"""Declaring routes: every one states its scope, its rate class and its errors; the key is checked before all else.

    routes = Routes("projects")

    @routes.post("/v1/projects", scope="projects:write", status=201, answers=ProjectView)
    def create_project(call: Call, body: ProjectCreate) -> ProjectView: ...

Handlers are plain functions and run in a thread. The frame checks key, scope and budget, opens the unit of work, makes
POST and PATCH idempotent and writes the answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, TypeVar, get_args, get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from recaster.api.call import Call, Services
from recaster.api.errors import invalid
from recaster.api.limits import Budgets, RateState
from recaster.errors import InvalidInput, RecasterError
from recaster.infra.settings import RateClass
from recaster.service.errors import (
    Conflict,
    ForbiddenScope,
    IdempotencyConflict,
    KillSwitch,
    PayloadTooLarge,
    RateLimited,
    Unauthenticated,
    UnsupportedMediaType,
)
from recaster.service.idempotency.service import parse_key
from recaster.service.keys.service import SCOPES, Principal, authenticate

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

ANY_KEY: Final = "any"
"""Scope of a route that every valid key may use."""
OPEN: Final = "open"
"""Scope of a route that needs no key."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Everything that a route declares."""

    method: str
    path: str
    handler: Callable[..., Any]
    scope: str
    rate_class: RateClass
    status: int
    answers: type[BaseModel] | None
    errors: tuple[type[RecasterError], ...]
    tag: str
    transaction: bool
    form: bool
    max_body: int | None
    media_type: str | None
    quick: bool
    audit: str | None
    shows_secret: bool
    etag: bool
    ranges: bool
    also: Mapping[int, str]
    links: Mapping[str, Mapping[str, str]]

    @property
    def idempotent(self) -> bool:
        """Whether the `Idempotency-Key` header counts."""
        return self.method in {"POST", "PATCH"}

    @property
    def takes_body(self) -> bool:
        """Whether the handler reads a JSON body or a form."""
        return self.form or any(_body_model(hint) for hint in _hints(self.handler).values())

    def all_errors(self) -> tuple[type[RecasterError], ...]:
        """Return the declared errors and those that the frame itself can answer."""
        frame: list[type[RecasterError]] = []
        if self.scope != OPEN:
            frame += [Unauthenticated, KillSwitch, RateLimited]
        if self.scope not in {OPEN, ANY_KEY}:
            frame.append(ForbiddenScope)
        if self.takes_body:
            frame += [UnsupportedMediaType, PayloadTooLarge]
        if self.takes_body or self.idempotent or len(_hints(self.handler)) > 1:
            frame.append(InvalidInput)
        if self.idempotent:
            frame += [IdempotencyConflict, Conflict]
        return tuple(dict.fromkeys([*frame, *self.errors]))


class Routes:
    """The routes of one domain."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.operations: list[Operation] = []

    def get(self, path: str, **declared: Any) -> Callable[[HandlerT], HandlerT]:
        """Declare a read; see `route`."""
        return self.route("GET", path, **declared)

    def post(self, path: str, **declared: Any) -> Callable[[HandlerT], HandlerT]:
        """Declare a write that is idempotent by key; see `route`."""
        return self.route("POST", path, **declared)

    def patch(self, path: str, **declared: Any) -> Callable[[HandlerT], HandlerT]:
        """Declare a change that is idempotent by key; see `route`."""
        return self.route("PATCH", path, **declared)

    def delete(self, path: str, **declared: Any) -> Callable[[HandlerT], HandlerT]:
        """Declare a removal; see `route`."""
        return self.route("DELETE", path, **declared)

    def route(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        answers: type[BaseModel] | None,
        status: int = 200,
        errors: Sequence[type[RecasterError]] = (),
        rate_class: RateClass | None = None,
        transaction: bool = True,
        form: bool = False,
        max_body: int | None = None,
        media_type: str | None = None,
        quick: bool = False,
        audit: str | None = None,
        shows_secret: bool = False,
        etag: bool = False,
        ranges: bool = False,
        also: Mapping[int, str] | None = None,
        links: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Callable[[HandlerT], HandlerT]:
        """Declare a route.

        `scope` is one of the contract's, `ANY_KEY` or `OPEN`. `transaction=False`: the handler opens its own units of
        work and returns a `Response` (`call.idempotent(…)` makes one). `form`: the body is multipart. `max_body` in
        bytes overrides the setting. `media_type`: what a handler answers that returns raw bytes. `audit`: the action that
        the audit log gets when the handler answers `status`. `shows_secret`: the answer must not be kept in the clear.
        `etag`: a read whose answer carries a strong entity tag and is 304 while it is unchanged. `ranges`: a file that is
        sent in parts if asked for. `also`: further statuses of success with their meaning. `links`: operation id →
        parameter → where it comes from: a JSON pointer into the answer, or a runtime expression of OpenAPI
        (`$request.path.…`). `quick`: it reads a few rows by their ids, which on SQLite takes less time than handing the
        work to a thread.
        """
        if scope not in {*SCOPES, ANY_KEY, OPEN}:
            raise ValueError(f"{method} {path} declares the unknown scope {scope!r}.")

        def declare(handler: HandlerT) -> HandlerT:
            chosen: RateClass = rate_class or ("read-light" if method in {"GET", "HEAD"} else "write-light")
            self.operations.append(
                Operation(
                    method=method,
                    path=path,
                    handler=handler,
                    scope=scope,
                    rate_class=chosen,
                    status=status,
                    answers=answers,
                    errors=tuple(errors),
                    tag=self.tag,
                    transaction=transaction,
                    form=form,
                    max_body=max_body,
                    media_type=media_type,
                    quick=quick,
                    audit=audit,
                    shows_secret=shows_secret,
                    etag=etag,
                    ranges=ranges,
                    also=also or {},
                    links=links or {},
                )
            )
            return handler

        return declare


class DeclaredRoute(APIRoute):
    """A route of ours inside the framework: its endpoint carries the declaration."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put key, scope, budget and body checks before the framework reads the body."""
        handle = super().get_route_handler()
        operation: Operation = self.endpoint.operation  # type: ignore[attr-defined]
        takes_body = operation.takes_body

        async def handler(request: Request) -> Response:
            services: Services = request.app.state.services
            limit = operation.max_body or services.settings.max_body_bytes
            if operation.scope != OPEN:
                await _admit(request, services, operation)
            if takes_body:
                _check_media_type(request, operation)
            if operation.idempotent:
                parse_key(request.headers.get("idempotency-key"))
            declared = request.headers.get("content-length", "")
            if declared.isdigit() and int(declared) > limit:
                raise _too_large(limit)
            bounded = Request(request.scope, _bounded(request.receive, limit))
            try:
                return await handle(bounded)
            except HTTPException as error:
                # The framework hides what went wrong while the body was read behind a plain 400.
                if isinstance(error.__cause__, RecasterError):
                    raise error.__cause__ from error
                if error.status_code == 400:
                    raise invalid(
                        [{"path": "", "message": "the body could not be read; check its encoding"}]
                    ) from error
                raise

        return handler


async def _admit(request: Request, services: Services, operation: Operation) -> None:
    budgets: Budgets = request.app.state.budgets

    def check() -> tuple[Principal | None, RateState, RecasterError | None]:
        # Key, kill switch, scope, budget: the contract's order. Only a request that gets that far is counted.
        try:
            with services.database.system_glance() as session:
                principal = authenticate(session, services.pepper, request.headers.get("authorization"))
        except Unauthenticated as error:
            state, refusal = _guard_address(request, budgets, services)
            return None, state, refusal or error
        budget = services.settings.limits(principal.tier).requests_per_minute[operation.rate_class]
        asked = (principal.api_key_id, operation.rate_class, budget)
        if principal.suspended is not None:
            return principal, budgets.look(*asked), KillSwitch(principal.suspended)
        if operation.scope != ANY_KEY and not principal.holds(operation.scope):
            return principal, budgets.look(*asked), ForbiddenScope(operation.scope)
        state = budgets.hit(*asked)
        return principal, state, None if state.allowed else _used_up(state)

    # Looking a key up in SQLite takes less time than handing the work to a thread.
    at_once = services.database.is_sqlite and budgets.in_process
    principal, request.state.rate, refusal = check() if at_once else await run_in_threadpool(check)
    if refusal is not None:
        raise refusal
    assert principal is not None
    services.usage.note(principal.api_key_id)
    request.state.principal = principal


def _used_up(state: RateState) -> RateLimited:
    return RateLimited(
        f"This key may send {state.limit} {state.rate_class} requests a minute, and they are used up.",
        retry_after=state.retry_after, limit=state.limit, scope="requests",
    )  # fmt: skip


def guard_address(request: Request, budgets: Budgets, services: Services) -> None:
    """Count a request without a valid key against its address, so that nobody tries keys at leisure.

    Raises:
        RateLimited: the address has no budget left in this minute.
    """
    request.state.rate, refusal = _guard_address(request, budgets, services)
    if refusal is not None:
        raise refusal


def _guard_address(request: Request, budgets: Budgets, services: Services) -> tuple[RateState, RateLimited | None]:
    address = request.client.host if request.client else "unknown"
    budget = services.settings.limits("standard").requests_per_minute["read-light"]
    state = budgets.hit(f"address:{address}", "read-light", budget)
    if state.allowed:
        return state, None
    refusal = RateLimited(
        "Too many requests without a valid key came from this address.",
        retry_after=state.retry_after, limit=state.limit, scope="address",
    )  # fmt: skip
    return state, refusal


def endpoint_of(operation: Operation) -> Callable[..., Any]:
    """Build what the framework calls: it takes the handler's parameters, opens the unit of work, writes the answer."""
    hints = _hints(operation.handler)
    parameters = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(operation.handler).parameters.items()
        if name != "call"
    ]

    def answer(request: Request, **values: Any) -> Response:
        if operation.scope == OPEN:
            opened: Response = operation.handler(request, **values)
            return opened
        call = Call(
            request, request.app.state.services, request.state.principal, declared=operation,
            request_id=request.scope["recaster.request_id"],
        )  # fmt: skip
        if not operation.transaction:
            response: Response = operation.handler(call, **values)
            return response
        if operation.method == "GET":
            return call.read(lambda session: operation.handler(call, **values))
        return call.idempotent(_identifying(operation, values), lambda session: operation.handler(call, **values))

    async def answer_at_once(request: Request, **values: Any) -> Response:
        if request.app.state.services.database.is_sqlite:
            return answer(request, **values)
        return await run_in_threadpool(answer, request, **values)

    endpoint: Callable[..., Any] = answer_at_once if operation.quick else answer
    own = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)
    wanted = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in parameters
        if parameter.name != "request"
    ]
    endpoint.__signature__ = inspect.Signature([own, *wanted], return_annotation=Response)  # type: ignore[attr-defined]
    endpoint.__name__ = operation.handler.__name__
    endpoint.__doc__ = operation.handler.__doc__
    endpoint.operation = operation  # type: ignore[attr-defined]
    return endpoint


def _identifying(operation: Operation, values: dict[str, Any]) -> Any:
    bodies = [value for value in values.values() if isinstance(value, BaseModel)]
    return [body.model_dump(mode="json", by_alias=True, exclude_unset=operation.method == "PATCH") for body in bodies]


def _body_model(hint: Any) -> type[BaseModel] | None:
    """Return the model of a JSON body, also of one that may be left out (`Model | None`)."""
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _hints(handler: Callable[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(handler, include_extras=True)
    hints.pop("return", None)
    return hints


def _check_media_type(request: Request, operation: Operation) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if operation.form:
        if given != "multipart/form-data":
            raise UnsupportedMediaType(
                f"This route takes multipart/form-data, not {given or 'nothing'}.", accepted=["multipart/form-data"]
            )
        return
    empty = request.headers.get("content-length", "") in {"", "0"} and "transfer-encoding" not in request.headers
    if given != "application/json" and not (empty and not given):
        raise UnsupportedMediaType(
            f"This route takes application/json, not {given or 'a body without type'}.", accepted=["application/json"]
        )


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The request body is larger than the {limit} bytes that this route takes.", limitBytes=limit
    )


def _bounded(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _too_large(limit)
        return message

    return bounded
