"""What is served, for people and programs: packs, responses, the state that a logic reads. Takes no turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic.errors import PydanticUserError

from constrained.catalog.response import Response
from constrained.errors import StateError
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.serve.turns import Turns
from constrained.serve.wire import CatalogEntry, CatalogReply, CatalogsReply, ResponseEntry


def catalogs_reply(turns: Turns) -> CatalogsReply:
    packs = tuple(CatalogEntry(**_entry(name, turns.packs.get(name))) for name in turns.packs.names)
    return CatalogsReply(packs=packs, engines=tuple(turns.engines))


def catalog_reply(turns: Turns, pack: str) -> CatalogReply:
    """Raises PackError for a pack that is not served."""
    policy = turns.packs.get(pack)
    catalog = policy.catalog
    questions = policy.heard_type.__questions__ if policy.heard_type else {}
    return CatalogReply(
        **_entry(pack, policy),
        persona=catalog.persona,
        fallback=catalog.fallback,
        responses=tuple(_response(one, catalog.fallback) for one in catalog.responses.values()),
        state_schema=_schema(policy.state_type),
        default_state=_default(policy.state_type),
        questions={name: one.text for name, one in questions.items()},
        rules=policy.rules,
        source=policy.source,
        file=Path(policy.file).name,
        line=policy.line,
    )


def _entry(name: str, policy: Policy) -> dict[str, Any]:
    catalog = policy.catalog
    locales = sorted({locale for response in catalog.responses.values() for locale in response.texts})
    return {
        "pack": name,
        "speaker": catalog.speaker,
        "version": str(catalog.version),
        "locale": catalog.locale,
        "locales": tuple(locales),
        "n_responses": len(catalog.responses),
        "hash": catalog.hash,
    }


def _response(response: Response, fallback: str) -> ResponseEntry:
    texts = {locale: text.source for locale, text in response.texts.items()}
    is_fallback = response.id == fallback
    return ResponseEntry(
        id=response.id,
        texts=texts,
        when=response.when,
        examples={locale: tuple(messages) for locale, messages in response.examples.items()},
        tags=tuple(sorted(response.tags)),
        voice=response.voice or None,
        line=f"{Path(response.source.file).name}:{response.source.line}" if response.source.line else "",
        source=": ".join(one for one in (response.cites.document, response.cites.passage) if one) if response.cites else "",
        is_fallback=is_fallback,
    )


def _default(state_type: type[State]) -> dict[str, Any] | None:
    try:
        return state_type.default().model_dump(mode="json")
    except StateError:
        return None


def _schema(state_type: type[State]) -> dict[str, Any]:
    """JSON schema of a State; only its name, where a field is of a type that JSON schema has no form for."""
    try:
        return state_type.model_json_schema()
    except PydanticUserError:
        return {"title": state_type.__name__, "type": "object"}
