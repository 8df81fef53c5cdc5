"""The writer's side of a server that runs with ``--edit``: a message becomes an example of a response, once it is seen what that changes.

POST /v1/catalogs/{pack}/examples/trial   ExampleRequest -> TrialReply    nothing is written
POST /v1/catalogs/{pack}/examples         WrittenExample -> ExampleReply  one more example in the pack's own catalog file

For development: without ``--edit`` there are no such routes, and a pack that requires approvals is edited nowhere but in its files.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from constrained._canonical_json import sha256
from constrained.approval.rewrite import put_in_place, with_example
from constrained.catalog.load import catalog_from_bytes
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Catalog
from constrained.errors import CatalogError, ConstrainedError
from constrained.logic.policy import Policy
from constrained.pack_folders import shipped_folder
from constrained.quality.example_trial import changed_picks
from constrained.serve.access.roles import Role, allow
from constrained.serve.errors import RefusedError
from constrained.serve.routing import json_reply, new_router, service_of
from constrained.serve.turns import Turns
from constrained.serve.wire import Id, PackName

router = new_router()
EDITORS = [allow(Role.OPERATOR)]
_writing = threading.Lock()  # the hash is compared and the file replaced by one request at a time


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExampleRequest(_Wire):
    """A message that a response answers. ``locale``: the language of the message; the catalog's when empty."""

    response_id: Id
    message: Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]
    locale: Annotated[str, Field(max_length=35)] = ""


class WrittenExample(ExampleRequest):
    """``file_hash``: of the catalog file as it was tried."""

    file_hash: Annotated[str, Field(max_length=100)]


class ChangeEntry(_Wire):
    """A message for which another response would be picked. ``wanted``: the one that is meant; ``place``: its file and line."""

    place: str
    message: str
    wanted: str
    before: str
    after: str
    verdict: Literal["better", "worse", "other"]


class TrialReply(_Wire):
    """What an example would change. ``n_asked``: messages that were decided with it and without it; ``is_there``: it is one already."""

    response_id: str
    message: str
    file_hash: str
    n_asked: int = 0
    changes: tuple[ChangeEntry, ...] = ()
    is_there: bool = False


class ExampleReply(_Wire):
    """What was written. ``is_served``: the new version answers from now on; ``problem``: why not."""

    response_id: str
    file_hash: str
    is_served: bool
    problem: str = ""


@router.post("/v1/catalogs/{pack}/examples/trial", dependencies=EDITORS, response_model=TrialReply, summary="What an example would change")
async def try_example(pack: PackName, body: ExampleRequest, request: Request) -> Response:
    service = service_of(request)
    return json_reply(await service.in_background(_tried, service.turns, pack, body))


@router.post(
    "/v1/catalogs/{pack}/examples", dependencies=EDITORS, response_model=ExampleReply, summary="Add an example to the catalog file"
)
async def add_example(pack: PackName, body: WrittenExample, request: Request) -> Response:
    service = service_of(request)
    reply = await service.in_background(_written, service.turns, pack, body)
    if reply.is_served:
        service.events.send_all("reload", pack=pack, detail=service.turns.packs.get(pack).catalog.hash)
    return json_reply(reply)


def _tried(turns: Turns, pack: str, body: ExampleRequest) -> TrialReply:
    policy = turns.packs.get(pack)
    path = _own_file(policy)
    engine = next(iter(turns.engines.values()))
    if engine is None:
        raise RefusedError(409, "no model answers here, and the rules read no examples", hint="start the server without --rules")
    content = path.read_bytes()
    reply = TrialReply(response_id=body.response_id, message=body.message, file_hash=sha256(content))
    if sha256(content) != policy.catalog.file_hash:
        raise RefusedError(409, "the catalog file is newer than the version that answers", hint="wait until it is taken over, or mend it")
    if _is_there(policy.catalog, body):
        return reply.model_copy(update={"is_there": True})
    changed, n_asked = changed_picks(policy, _edited(content, path, policy.catalog, body)[1], engine)
    entries = tuple(
        ChangeEntry(
            place=one.before.place,
            message=one.before.message,
            wanted=one.before.wanted,
            before=one.before.said,
            after=one.after.said,
            verdict=one.verdict,
        )
        for one in changed
    )
    return reply.model_copy(update={"n_asked": n_asked, "changes": entries})


def _written(turns: Turns, pack: str, body: WrittenExample) -> ExampleReply:
    policy = turns.packs.get(pack)
    path = _own_file(policy)
    with _writing:
        content = path.read_bytes()
        if sha256(content) != body.file_hash:
            raise RefusedError(409, "the catalog file was edited meanwhile; nothing was written", hint="try the example again")
        if _is_there(catalog_from_bytes(content, path), body):
            return ExampleReply(response_id=body.response_id, file_hash=body.file_hash, is_served=True)
        edited, _ = _edited(content, path, policy.catalog, body)
        put_in_place(path, edited)
    try:
        turns.packs.reload(pack, lambda found: turns.check_own(pack, found))
    except ConstrainedError as error:
        return ExampleReply(response_id=body.response_id, file_hash=sha256(edited), is_served=False, problem=str(error))
    return ExampleReply(response_id=body.response_id, file_hash=sha256(edited), is_served=True)


def _edited(content: bytes, path: Path, catalog: Catalog, body: ExampleRequest) -> tuple[bytes, Catalog]:
    try:
        edited = with_example(content, path, body.response_id, _locale(catalog, body), body.message.strip())
        return edited, catalog_from_bytes(edited, path)
    except CatalogError as error:
        raise RefusedError(422, error.message, hint=error.hint) from error


def _is_there(catalog: Catalog, body: ExampleRequest) -> bool:
    response = catalog.responses.get(body.response_id)
    return response is not None and body.message.strip() in response.examples.get(_locale(catalog, body), ())


def _locale(catalog: Catalog, body: ExampleRequest) -> str:
    return canonical_tag(body.locale) or catalog.locale


def _own_file(policy: Policy) -> Path:
    """The catalog file of the pack itself. Raises RefusedError for one that is to be edited elsewhere, or by people who sign."""
    if policy.catalog.is_approval_required:
        raise RefusedError(403, "this pack requires approvals: it is not edited from here", hint="edit its files, and have them approved")
    path, root = Path(policy.catalog.path).resolve(), Path(policy.file).resolve().parent.parent
    if not policy.catalog.path or path.parent != root / "catalogs" or not path.is_file():
        raise RefusedError(403, "the catalog does not lie in catalogs/ beside the pack's logic/", hint="edit it where it lies")
    if root == shipped_folder() != Path.cwd().resolve():
        raise RefusedError(403, "the pack is shipped with the library", hint="copy it into your folder: catalogs/, logic/ and dialogues/")
    return path
