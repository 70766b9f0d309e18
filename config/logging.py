"""Structured logs: one line an event, with the request's id, the organization and the job it belongs to.

Every process writes the same, also those without Django, which call `configure`: `timestamp`, `level`, `logger`,
`event`, and what is bound. JSON in production, or wherever LOG_FORMAT=json.
"""

from __future__ import annotations

import logging.config
import os
from collections.abc import MutableMapping
from typing import Any

import structlog

from apps.core.access_log import without_address
from apps.core.masking import masked

# Read from the environment itself: a replica gets none of what `.data/env` holds.
IS_PRODUCTION = os.environ.get("DJANGO_SETTINGS_MODULE", "").endswith(".production")
IS_JSON = os.environ.get("LOG_FORMAT", "json" if IS_PRODUCTION else "console") == "json"
LEVEL = os.environ.get("LOG_LEVEL", "INFO").upper()


def mask_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last word on every line: no secret leaves the process by its log."""
    meta = {name: event.pop(name) for name in ("_record", "_from_structlog") if name in event}
    return {**masked(event), **meta}


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    mask_secrets,
]
RENDERER = structlog.processors.JSONRenderer(default=str) if IS_JSON else structlog.dev.ConsoleRenderer(colors=False)

structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *SHARED,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, RENDERER],
            "foreign_pre_chain": [without_address, *SHARED],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": LEVEL},
    "loggers": {
        "django": {"level": "INFO", "handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        # Refusals stand in the access log already.
        "django.request": {"level": "ERROR"},
        # uvicorn gives its loggers handlers of their own before it loads us.
        "uvicorn": {"level": "INFO", "handlers": [], "propagate": True},
        "uvicorn.error": {"handlers": [], "propagate": True},
        # uvicorn writes its own lines, query string and all, wherever this logger finds a handler.
        "uvicorn.access": {"handlers": [], "propagate": False},
    },
}


def configure() -> None:
    """Log as Django's processes do."""
    logging.config.dictConfig(LOGGING)
