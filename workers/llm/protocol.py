"""The parts of OpenAI's protocol that the local models speak: chat, completions and embeddings.

Source: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Chunk = dict[str, Any]
KEPT = ("id", "object", "created", "model", "choices", "usage")


class ApiError(Exception):
    """A refusal in OpenAI's error shape."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {
                "message": message,
                "type": "invalid_request_error" if status < 500 else "server_error",
                "param": param,
                "code": code,
            }
        }


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises ApiError that names the offending field."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            param = ".".join(str(part) for part in first["loc"]) or None
            raise ApiError(400, f"{param}: {first['msg']}" if param else first["msg"], param=param) from error


class TextPart(Strict):
    type: Literal["text"]
    text: str


class Message(Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None


class JsonSchema(Strict):
    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    json_schema: JsonSchema


class PlainFormat(Strict):
    type: Literal["text", "json_object"]


class StreamOptions(Strict):
    include_usage: bool = False


class GenerationRequest(Strict):
    """What may be asked of a text. A field the model cannot honour is refused by name, never silently ignored."""

    model: str
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    n: Literal[1] | None = None
    user: str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def wants_usage_chunk(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class ChatRequest(GenerationRequest):
    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    response_format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = None

    def for_engine(self, longest: int) -> dict[str, Any]:
        """The request as llama.cpp takes it: always streamed, always counted, never without an end."""
        given = self.model_dump(by_alias=True, exclude_none=True, exclude={"max_completion_tokens", "user", "n"})
        limit = self.max_completion_tokens or self.max_tokens or longest
        return {**given, "max_tokens": min(limit, longest), "stream": True, "stream_options": {"include_usage": True}}


class CompletionRequest(GenerationRequest):
    prompt: str = Field(min_length=1)

    def for_engine(self, longest: int) -> dict[str, Any]:
        """The request as llama.cpp takes it."""
        given = self.model_dump(exclude_none=True, exclude={"user", "n"})
        # OpenAI's own limit, where none is said.
        limit = min(self.max_tokens or 16, longest)
        return {**given, "max_tokens": limit, "stream": True, "stream_options": {"include_usage": True}}


class EmbeddingsRequest(Strict):
    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=256)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Literal[384] | None = None
    user: str | None = None

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input

    def answer(self, vectors: Any, token_count: int) -> dict[str, Any]:
        rows = [self._told(vector) for vector in vectors]
        data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
        usage = {"prompt_tokens": token_count, "total_tokens": token_count}
        return {"object": "list", "model": self.model, "data": data, "usage": usage}

    def _told(self, vector: Any) -> Any:
        if self.encoding_format == "base64":
            return b64encode(vector.astype("<f4").tobytes()).decode()
        return vector.tolist()


def public(chunk: Chunk) -> Chunk:
    """A chunk without the engine's own fields."""
    return {name: chunk[name] for name in KEPT if name in chunk}


def completion(chunks: list[Chunk]) -> dict[str, Any]:
    """The one answer that these chunks make up."""
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return {
        "id": chunks[-1]["id"],
        "object": "chat.completion",
        "created": chunks[-1]["created"],
        "model": chunks[-1]["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": choices[-1]["finish_reason"],
            }
        ],
        "usage": chunks[-1]["usage"],
    }


def text_completion(chunks: list[Chunk]) -> dict[str, Any]:
    """The one answer to a prompt that these chunks make up."""
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    last = {"index": 0, "logprobs": None, "finish_reason": choices[-1]["finish_reason"]}
    return {
        **public(chunks[-1]),
        "object": "text_completion",
        "choices": [{**last, "text": "".join(choice["text"] for choice in choices)}],
    }
