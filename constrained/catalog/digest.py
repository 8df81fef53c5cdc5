"""The content hash of a catalog: what is said and when, whatever the file looks like. Knows no positions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from constrained.catalog.response import Response, Slot


def content_hash(head: Mapping[str, Any], responses: Mapping[str, Response]) -> str:
    """``sha256:`` and hex digits over canonical JSON; the order of keys in a file does not matter."""
    content = {**head, "responses": {response.id: _content(response) for response in responses.values()}}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _content(response: Response) -> dict[str, Any]:
    approval = response.approval
    content: dict[str, Any] = {
        "texts": {locale: template.source for locale, template in response.texts.items()},
        "slots": {slot.name: _slot(slot) for slot in response.slots.values()},
        "when": response.when,
        "key": response.key,
        "examples": {locale: list(messages) for locale, messages in response.examples.items()},
        "tags": sorted(response.tags),
        "voice": response.voice,
        "approval": approval and [approval.by, str(approval.on), approval.until and str(approval.until)],
        "exact_locale": response.exact_locale,
    }
    if response.author:
        content["author"] = response.author
    if response.cites:
        content["cites"] = [response.cites.document, response.cites.passage, response.cites.hash]
    if response.claims:
        content["claims"] = response.claims
    return content


def version_hash(response: Response, locale: str) -> str:
    """The version of a response in one locale: ``sha256:`` and hex digits over all that an approver signs for.

    That is what is said (text, slots with their words, recording), what decides who must approve it (tags), the passage
    that it rests on, and the event that it claims. What only steers the model (``when``, ``key``, examples) is no part of it.
    """
    cites = response.cites
    content = {
        "id": response.id,
        "locale": locale,
        "text": response.texts[locale].source,
        "slots": {slot.name: _spoken_slot(slot, locale) for slot in response.slots.values()},
        "voice": response.voice,
        "tags": sorted(response.tags),
        "cites": cites and [cites.document, cites.passage, cites.hash],
    }
    if response.claims:
        content["claims"] = response.claims
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _spoken_slot(slot: Slot, locale: str) -> list[Any]:
    """A slot as far as it is said in ``locale``: a word changed in another locale is another version there, not here."""
    return [slot.kind, slot.currency, {value: words.get(locale) for value, words in slot.choices.items()}, slot.max_length]


def _slot(slot: Slot) -> list[Any]:
    content = [slot.kind, slot.currency, {value: dict(words) for value, words in slot.choices.items()}, slot.max_length]
    return [*content, "sensitive"] if slot.is_sensitive else content
