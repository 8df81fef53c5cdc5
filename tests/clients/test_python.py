"""The Python client plays the conformance play."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx

from constrained.errors import ConstrainedError
from constrained.serve.client import Client
from constrained.serve.errors import RefusedError
from tests.clients.conftest import PLAY, TOKEN, hold


def seen(reply):
    effects = [one.call for one in reply.effects]
    return {"response_id": reply.response_id, "effects": effects, "voices": list(reply.voices), "number": reply.number} | {
        name: getattr(reply, name) for name in ("is_repeat", "goes_on")
    }


def play(client):
    """What was seen at each step."""
    name, last, saved, given = uuid.uuid4().hex, {}, None, ("state", "done", "failed")
    for step in PLAY["steps"]:
        facts = {one: step[one] for one in given if one in step}
        asked = {"conversation": name, "effects": "hand_over", "idempotency_key": uuid.uuid4().hex, **facts}
        if step["do"] in ("say", "finish"):
            last = {"message": step.get("message", ""), **asked}
            yield seen(client.turn(PLAY["pack"], **last))
        elif step["do"] == "press":
            button = next(one for one in client.preview(name, PLAY["pack"], state=step["state"]).buttons if one.id == step["button"])
            yield seen(client.turn(PLAY["pack"], button.message, **asked))
        elif step["do"] == "again":
            yield seen(client.turn(PLAY["pack"], **last))
        elif step["do"] == "preview":
            found = client.preview(name, PLAY["pack"], step["message"])
            yield {"response_id": found.response_id, "effects": [one.call for one in found.effects], "n": len(found.decision.options)}
        elif step["do"] == "save":
            saved = client.save(name)
            yield {}
        elif step["do"] == "load":
            name = uuid.uuid4().hex
            client.load(name, saved)
            yield {}
        elif step["do"] == "cancel":
            with ThreadPoolExecutor(1) as threads:
                asked_for = threads.submit(client.turn, PLAY["pack"], step["message"], **asked)
                yield {"cancelled": called_off(client, name, asked["idempotency_key"], asked_for)}
        elif step["do"] == "refused":
            yield {"status": refused(client, step["pack"])}


def called_off(client, name, key, asked_for):
    while not asked_for.done():
        try:
            client.cancel(name, key)
        except RefusedError as error:
            if error.status == 404:  # it is still on its way
                continue
    return isinstance(asked_for.exception(), ConstrainedError)


def refused(client, pack):
    try:
        client.turn(pack, "hello")
    except RefusedError as error:
        return error.status


def test_the_python_client(served):
    with Client(served, TOKEN, http=httpx.Client(trust_env=False, timeout=60)) as client:
        hold(json.dumps(one) for one in play(client))
