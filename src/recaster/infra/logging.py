"""Structured logs: one JSON object a line on standard error, with secrets cut out wherever they stand."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

_SECRET_NAMES: Final = re.compile(r"authorization|secret|password|pepper|token|api_key$|cookie", re.IGNORECASE)
_SECRET_VALUES: Final = re.compile(
    r"(lp_(?:live|test)_[A-Za-z0-9]{16})_[A-Za-z0-9_-]{43}|whsec_[A-Za-z0-9+/]{16,}=*|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)"
)
_MASK: Final = "…"


def redact(value: Any) -> Any:
    """Return `value` with the secret part of API keys, webhook secrets and URLs cut out, in every text inside."""
    if isinstance(value, str):
        return _SECRET_VALUES.sub(lambda match: f"{match.group(1)}_{_MASK}" if match.group(1) else _MASK, value)
    if isinstance(value, dict):
        return {key: _MASK if _SECRET_NAMES.search(str(key)) and value[key] else redact(value[key]) for key in value}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def _redact_event(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    result: MutableMapping[str, Any] = redact(dict(event))
    return result


def configure_logging(level: str = "INFO") -> None:
    """Send the logs of this process, ours and every library's, to standard error. Call it once, in a process's main."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _redact_event,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "dbos"):
        library = logging.getLogger(name)
        # A library that finds a handler adds none of its own; the record goes up to ours.
        library.handlers = [logging.NullHandler()]
        library.propagate = True
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    logging.getLogger("dbos").setLevel(max(logging.getLevelName(level), logging.WARNING) if level != "DEBUG" else level)
