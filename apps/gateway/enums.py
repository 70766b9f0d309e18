"""The gateway's words. The data plane reads the same ones in its snapshot, so that they import no Django."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What speaks on the other side."""

    OPENAI = "openai"
    AZURE = "azure"
    COMPATIBLE = "compatible"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    JSON = "json"
    LOCAL = "local"


class Strategy(StrEnum):
    """How the next target is chosen among those of a tier."""

    WEIGHTED = "weighted"
    FASTEST = "fastest"
    CHEAPEST = "cheapest"
    LEAST_BUSY = "least_busy"
    STICKY = "sticky"


class CacheMode(StrEnum):
    OFF = "off"
    EXACT = "exact"
    SEMANTIC = "semantic"


class BudgetPeriod(StrEnum):
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


class Face(StrEnum):
    """What a caller or an upstream speaks; `GENERATE` is Gemini's, which only upstreams speak."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MESSAGES = "messages"
    GENERATE = "generate"
    INFER = "infer"


class ErrorClass(StrEnum):
    """What went wrong with an attempt, whatever its provider calls it."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    BROKEN = "broken"
    KEY_REFUSED = "key_refused"
    NOT_FOUND = "not_found"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    INVALID_REQUEST = "invalid_request"


# Another attempt may do better: the fault is the provider's. The rest is said of the request itself, and another
# target gets it only where the target says so.
PASSING = frozenset(
    {
        ErrorClass.RATE_LIMITED,
        ErrorClass.OVERLOADED,
        ErrorClass.SERVER_ERROR,
        ErrorClass.TIMEOUT,
        ErrorClass.UNREACHABLE,
        ErrorClass.BROKEN,
        ErrorClass.KEY_REFUSED,
        ErrorClass.NOT_FOUND,
    }
)
