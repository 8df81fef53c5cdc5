"""A client of ``constrained serve`` for Ren'Py 8.1 or newer, by ``renpy.fetch``: an import for script.rpy, see the sample beside it.

    brom = Npc("tavern")                        # after connect(...) or start_sidecar(...)
    reply = brom.say("Sixty gold for the key?", state={"gold": gold})
    for effect in reply["effects"]: ...         # the game does them: effect["name"], effect["args"]
    more = brom.finish(reply, done=["pay", "give"], state={"gold": gold})

An Npc holds plain values only, so Ren'Py can save it. What the server keeps of the conversation is saved by ``save`` and ``load``.
"""

import json
import os
import subprocess
import time
import uuid

RETRIED = (408, 429, 502, 503, 504)
TIMEOUT_S = 30.0
ATTEMPTS = 4
SERVER = {"url": "", "token": ""}


class Refused(Exception):
    """What the server said in place of a reply: nothing was said. ``status`` is HTTP's, 0 where no answer came."""

    def __init__(self, status, message, hint=""):
        super().__init__(f"{message} ({hint})" if hint else message)
        self.status, self.hint = status, hint


def connect(url, token):
    """Where every Npc asks from now on. The token is a sidecar's or a customer's; a game that others download holds no other."""
    SERVER.update(url=url.rstrip("/"), token=token)


def start_sidecar(command, data, seconds=60.0):
    """Starts the server beside the game (not on the web or on phones) and connects to it; it ends with the game.

    Args:
        command: such as ``["constrained", "serve", "tavern", "--model", "small"]``, or the packed executable with its arguments.
        data: a folder for what it keeps. seconds: in which it must listen; RuntimeError after that.
    """
    os.makedirs(data, exist_ok=True)
    port_file = os.path.join(data, f"port-{uuid.uuid4().hex}.json")
    rest = ["--port", "0", "--port-file", port_file, "--parent", str(os.getpid()), "--data", data]
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # of Windows
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, *rest], creationflags=flags, **quiet)
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if os.path.exists(port_file):  # it is written in one step
            with open(port_file, encoding="utf-8") as file:
                found = json.load(file)
            connect(found["url"], found["token"])
            return process
        pause(0.05)
    process.kill()
    raise RuntimeError(f"{command[0]} did not start; run it by hand to see why")


class Npc:
    """A character in one conversation; a new one unless one is named."""

    def __init__(self, pack, conversation=None, effects="hand_over"):
        self.pack, self.conversation, self.effects = pack, conversation or uuid.uuid4().hex, effects

    def say(self, message, key=None, **values):
        """The reply to a message, as a dict. ``values``: state, done, failed, within, locale, engine; key: the idempotency key."""
        body = {"pack": self.pack, "conversation": self.conversation, "message": message, "idempotency_key": key or uuid.uuid4().hex}
        if self.effects == "hand_over":
            body["effects"] = self.effects
        return ask("POST", "/v1/turns", {**body, **values})

    def finish(self, reply, **values):
        """What there is to say to what became of the effects (done, failed, state), or None: then it goes with the next message."""
        return self.say("", **values) if reply.get("goes_on") else None

    def preview(self, message="", state=None):
        """What would be said to a message: text, decision with options and probabilities, buttons. Nothing is kept."""
        body = {"pack": self.pack, "message": message}
        return ask("POST", f"/v1/conversations/{self.conversation}/preview", body if state is None else {**body, "state": state})

    def buttons(self, state=None):
        """What the player may say by a press now, for ``renpy.display_menu``: (message, message) each."""
        return [(one["message"], one["message"]) for one in self.preview(state=state)["buttons"]]

    def cancel(self, key):
        """Calls off a turn that another thread asks with this key: whether it is not said. Raises Refused, 404, where none runs."""
        try:
            ask("DELETE", f"/v1/conversations/{self.conversation}/turns/{key}")
        except Refused as refused:
            if refused.status != 409:
                raise
            return False
        return True

    def save(self):
        """The conversation as one value: keep it in a variable of the store."""
        return ask("GET", f"/v1/conversations/{self.conversation}/save")

    def load(self, saved):
        """Goes on where the saved conversation stood, in a new one. Gives what could not be kept as it was."""
        loaded = ask("PUT", f"/v1/conversations/{uuid.uuid4().hex}/save", saved)
        self.pack, self.conversation = loaded["pack"], loaded["conversation"]
        return loaded["notes"]


def ask(method, path, body=None):
    """The answer's body. Sent again while the server is away or full: with its key a turn is taken once, however often it is sent."""
    headers = {"Authorization": f"Bearer {SERVER['token']}"}
    for number in range(1, ATTEMPTS + 1):
        try:
            answer = fetch(SERVER["url"] + path, method=method, json=body, timeout=TIMEOUT_S, headers=headers)
        except Exception as error:  # renpy.fetch raises FetchError, which lies in another module in every version
            refused = _refusal(error)
            if number == ATTEMPTS or (refused.status and refused.status not in RETRIED):
                raise refused from error
            pause(0.1 * 2**number)
        else:
            return json.loads(answer) if answer else None
    return None


def _refusal(error):
    """The status stands in the answer behind a FetchError; what it finds in its own text may be a piece of an address."""
    cause = getattr(error, "original_exception", None)
    answer = getattr(cause, "response", None)
    status = (getattr(error, "status_code", None) or 0) if cause is None else getattr(answer, "status_code", 0)
    try:
        told = answer.json()["error"]
        return Refused(status, told["message"], told["hint"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return Refused(status, f"the server did not answer: {error}", "see that it runs; a turn may be sent again with its key")


def fetch(url, **options):
    """``renpy.fetch``: bytes. Outside of an interaction the game goes on meanwhile."""
    from renpy import exports

    return exports.fetch(url, **options)


def pause(seconds):
    from renpy import exports

    exports.pause(seconds)
