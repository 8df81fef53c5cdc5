"""Speaks as OpenAI's chat completions do: content is the approved reply, effects are tool calls. Generates nothing.

``model`` is a pack, or ``pack@engine``. The conversation is ``metadata.conversation`` or ``user``; without one, the
transcript that is sent is all that the model reads of it. ``metadata.state`` is the state as JSON text. Effects are
handed over: the caller runs them, as it runs tools; its tools' messages tell what became of them, which a procedure may
wait for. A content that is the JSON of an object with ``error`` says that a tool failed.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from constrained.dialogue.context import clean_message
from constrained.engines.protocol import Speaker
from constrained.errors import StateError
from constrained.logic.policy import Policy
from constrained.logic.state import HISTORY_TURNS, Memory
from constrained.logic.variants import seed_of
from constrained.serve.errors import RefusedError
from constrained.serve.turns import TurnJob, Turns
from constrained.serve.wire import Id, TurnReply, TurnRequest

MOST_MESSAGES = 1_000
View = Callable[[dict[str, Any]], dict[str, Any]]


class _ChatValue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)  # temperature, top_p and the like mean nothing here


class ChatMessage(_ChatValue):
    """One message of a transcript; of a content in parts the texts are read."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(str(part["text"]) for part in self.content if isinstance(part.get("text"), str))
        return self.content or ""


class StreamOptions(_ChatValue):
    include_usage: bool = False


class ChatMetadata(_ChatValue):
    """What a chat completion has no field of its own for; values are texts, as OpenAI's are."""

    conversation: Id | None = None
    state: str | None = None
    within: str | None = None
    locale: str | None = None


class ChatRequest(_ChatValue):
    """As much of OpenAI's request as means something here; the rest is ignored."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "tavern", "messages": [{"role": "user", "content": "Good evening, what have you got?"}]}]}
    )

    model: str = Field(max_length=300)
    messages: list[ChatMessage] = Field(min_length=1, max_length=MOST_MESSAGES)
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = None
    n: Literal[1] | None = 1
    metadata: ChatMetadata | None = None


def is_after_tools(request: ChatRequest) -> bool:
    """Whether the transcript ends with what the caller's tools did: only a procedure has something to say to that."""
    return request.messages[-1].role in ("tool", "function")


def conversation_of(request: ChatRequest) -> str | None:
    """The one that the request names."""
    return (request.metadata and request.metadata.conversation) or _id(request.user)


def make_job(turns: Turns, tenant: str, request: ChatRequest, idempotency_key: str | None) -> TurnJob:
    """The turn that a transcript asks for: its last message of the user, none after tools. Raises RefusedError."""
    pack, _, engine = request.model.partition("@")
    policy = turns.packs.get(pack)
    users = [index for index, message in enumerate(request.messages) if message.role == "user"]
    if not users:
        raise RefusedError(422, "the transcript holds no message of the user", hint="add one with the role user", param="messages")
    metadata = request.metadata or ChatMetadata()
    conversation, end = conversation_of(request), len(request.messages) if is_after_tools(request) else users[-1]
    done, failed = _tool_outcomes(request.messages[:end])
    try:
        turn_request = TurnRequest(
            pack=pack,
            message="" if is_after_tools(request) else request.messages[end].text,
            done=done,
            failed=failed,
            conversation=conversation,
            engine=engine or None,
            state=_state(metadata.state),
            within=_float(metadata.within),
            locale=metadata.locale,
            effects="hand_over",
            idempotency_key=idempotency_key,
        )
    except ValueError as error:  # pydantic's are; what was sent is not sent back
        hint = "metadata: conversation, state (JSON text), within (seconds), locale"
        raise RefusedError(422, "the model or the metadata are not what they must be", hint=hint) from error
    job = turns.make_job(tenant, turn_request)
    if conversation is not None:
        return job
    return replace(job, memory=memory_of(policy, request.messages[: users[-1]]))


def completion(reply: TurnReply, model: str) -> dict[str, Any]:
    """The answer to a request that does not stream."""
    message = {"role": "assistant", "content": reply.text, "refusal": None, **_tools(reply)}
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(reply), "logprobs": None}
    return {**_head(reply, model, "chat.completion"), "choices": [choice], "usage": _usage(reply), "constrained": _extension(reply)}


def chunks(reply: TurnReply, model: str, *, has_usage: bool, view: View = lambda content: content) -> Iterator[str]:
    """The same as server-sent events. The whole reply is known, verified and recorded before the first of them.

    Args:
        view: what the caller is told of each of them.
    """
    for content in _chunks(reply, model, has_usage=has_usage):
        yield _event(view(content))
    yield "data: [DONE]\n\n"


def _chunks(reply: TurnReply, model: str, *, has_usage: bool) -> Iterator[dict[str, Any]]:
    head = _head(reply, model, "chat.completion.chunk")
    for delta in ({"role": "assistant", "content": ""}, {"content": reply.text}, _tools(reply, is_delta=True)):
        if delta:
            yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": _finish_reason(reply)}], "constrained": _extension(reply)}
    if has_usage:
        yield {**head, "choices": [], "usage": _usage(reply)}


def silence(model: str) -> dict[str, Any]:
    """After tools: an empty message."""
    message = {"role": "assistant", "content": "", "refusal": None}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion", "created": int(time.time()), "model": model}
    return {**head, "choices": [choice], "usage": usage}


def silent_chunks(model: str) -> Iterator[str]:
    """The same, streamed."""
    whole = silence(model)
    head = {**whole, "object": "chat.completion.chunk", "usage": None}
    yield _event({**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]})
    yield "data: [DONE]\n\n"


def models(turns: Turns) -> dict[str, Any]:
    """Packs, and packs with each engine, as models."""
    names = [name for pack in turns.packs.names for name in (pack, *(f"{pack}@{engine}" for engine in turns.engines))]
    return {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "constrained"} for name in names]}


# -- from a transcript ---------------------------------------------------------------------------------------


def _tool_outcomes(messages: Sequence[ChatMessage]) -> tuple[list[str], list[str]]:
    """Names of the effects that the tools at the end of a transcript ran, and of those that failed."""
    names = {str(call.get("id")): _name_of(call) for message in messages for call in message.tool_calls or ()}
    done: list[str] = []
    failed: list[str] = []
    for message in reversed(messages):
        if message.role == "tool" and message.tool_call_id in names:
            (failed if _is_error(message.text) else done).append(names[message.tool_call_id])
        elif message.role != "tool" and message.text.strip():
            break
    return done[::-1], failed[::-1]


def _name_of(call: dict[str, Any]) -> str:
    function = call.get("function")
    return str(function.get("name")) if isinstance(function, dict) else ""


def _is_error(content: str) -> bool:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and bool(found.get("error"))


def memory_of(policy: Policy, messages: Sequence[ChatMessage]) -> Memory:
    """What a transcript tells of the conversation so far. Of the assistant's messages only approved words count as said."""
    kinds: dict[str, Speaker] = {"user": "user", "assistant": "reply"}
    spoken = [(kinds[one.role], clean_message(one.text)) for one in messages if one.role in kinds and one.text.strip()]
    replies = [text for kind, text in spoken if kind == "reply"]
    catalog = policy.catalog
    plain = {
        variant.literal: response.id
        for response in catalog.responses.values()
        for template in response.texts.values()
        for variant in template.each
        if variant.literal
    }
    found = [(number, response_id) for number, text in enumerate(replies, 1) for words, response_id in plain.items() if words in text]
    said = {response_id: number for number, response_id in found}
    memory = Memory(said=said, history=tuple(spoken[-2 * HISTORY_TURNS :]), number=len(replies))
    if not catalog.has_variants:
        return memory
    times = Counter(response_id for _, response_id in set(found))
    return memory.model_copy(update={"seed": seed_of(catalog.name), "times": dict(times)})  # a transcript does not name its conversation


def _state(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StateError("metadata.state is not JSON", hint='the text of an object: "{\\"gold\\": 80}"') from error
    if not isinstance(found, dict):
        raise StateError("metadata.state is not the JSON of an object", hint='for example "{\\"gold\\": 80}"')
    return found


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)


def _id(user: str | None) -> str | None:
    """``user`` as a conversation's name; any text may be one."""
    return f"user-{hashlib.sha256(user.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}" if user else None


# -- to a completion -----------------------------------------------------------------------------------------


def _head(reply: TurnReply, model: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{reply.turn_id}", "object": kind, "created": int(time.time()), "model": model, "system_fingerprint": None}


def _tools(reply: TurnReply, *, is_delta: bool = False) -> dict[str, Any]:
    """Effects as calls: their arguments under ``args`` and by name."""
    calls = [
        {
            "id": f"call_{reply.turn_id}_{index}",
            "type": "function",
            "function": {"name": effect.name, "arguments": json.dumps({"args": effect.args, **effect.kwargs})},
            **({"index": index} if is_delta else {}),
        }
        for index, effect in enumerate(reply.effects)
    ]
    return {"tool_calls": calls} if calls else {}


def _finish_reason(reply: TurnReply) -> str:
    return "tool_calls" if reply.effects else "stop"


def _usage(reply: TurnReply) -> dict[str, int]:
    """Tokens that the model read. None was generated."""
    n_read = int((reply.decision.decoding or {}).get("n_tokens", 0))
    return {"prompt_tokens": n_read, "completion_tokens": 0, "total_tokens": n_read}


def _extension(reply: TurnReply) -> dict[str, Any]:
    names = ("turn_id", "conversation", "number", "response_id", "said", "voices", "source", "degraded", "effects_outcome", "is_repeat")
    return {name: getattr(reply, name) for name in names}


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
