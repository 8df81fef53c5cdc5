"""Plays the steps of ../conformance.json with the client for Ren'Py; tests run it in plain Python and in Ren'Py."""

import json
import pickle
import threading
import uuid

import constrained_npc as client


def play(pack, steps, tell):
    npc, last, saved, reply = client.Npc(pack), None, None, None
    for step in steps:
        kind, values = step["do"], {name: step[name] for name in ("state", "done", "failed") if name in step}
        npc = pickle.loads(pickle.dumps(npc))  # as a saved game does
        if kind == "say":
            last = dict(values, message=step["message"], key=uuid.uuid4().hex)
            reply = npc.say(**last)
            tell(seen(reply))
        elif kind == "again":
            tell(seen(npc.say(**last)))
        elif kind == "press":
            buttons = {one["id"]: one["message"] for one in npc.preview(state=step["state"])["buttons"]}
            assert (buttons[step["button"]],) * 2 in npc.buttons(step["state"])
            tell(seen(npc.say(buttons[step["button"]], **values)))
        elif kind == "finish":
            tell(seen(npc.finish(reply, **values)))
        elif kind == "preview":
            tell(seen(npc.preview(step["message"])))
        elif kind == "save":
            saved = json.loads(json.dumps(npc.save()))
            tell({})
        elif kind == "load":
            npc.load(saved)
            tell({})
        elif kind == "cancel":
            tell({"cancelled": cancel(npc, step["message"])})
        elif kind == "refused":
            tell({"status": refused(step["pack"])})


def seen(reply):
    return {**reply, "effects": [one["call"] for one in reply["effects"]]}


def cancel(npc, message):
    key, told = uuid.uuid4().hex, []

    def ask():
        try:
            told.append(npc.say(message, key=key))
        except client.Refused as refused:
            told.append(refused)

    thread = threading.Thread(target=ask)
    thread.start()
    while thread.is_alive():
        try:
            npc.cancel(key)
        except client.Refused:
            continue  # it is still on its way
    return isinstance(told[0], client.Refused)


def refused(pack):
    try:
        client.Npc(pack).say("hello")
    except client.Refused as error:
        return error.status
    return 200
