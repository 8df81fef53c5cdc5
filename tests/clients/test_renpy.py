"""The client for Ren'Py plays the conformance play: in Python with a stand-in for renpy.fetch, and in a Ren'Py (RENPY: its command)."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import shutil
import subprocess
import sys

import httpx
import pytest

from constrained.packs import load_policy
from tests.clients.conftest import CLIENTS, PLAY, TOKEN, ends, hold, serving

GAME = CLIENTS / "renpy" / "game"
RENPY = shlex.split(os.environ.get("RENPY", "")) or [path for name in ("renpy", "renpy.sh") if (path := shutil.which(name))][:1]


class FetchError(Exception):
    """As renpy.fetch raises it: the answer stands behind it, and a port may stand where it looks for a status."""

    def __init__(self, error):
        super().__init__(str(error))
        self.original_exception, self.status_code = error, 127


def fetch(url, method=None, json=None, timeout=5, headers=None):
    try:
        return httpx.request(method, url, json=json, timeout=timeout, headers=headers, trust_env=False).raise_for_status().content
    except httpx.HTTPError as error:
        raise FetchError(error) from error


@pytest.fixture
def client(monkeypatch):
    monkeypatch.syspath_prepend(str(GAME))
    monkeypatch.syspath_prepend(str(GAME.parent))
    found = importlib.import_module("constrained_npc")
    monkeypatch.setattr(found, "fetch", fetch)
    monkeypatch.setattr(found, "SERVER", {"url": "", "token": ""})
    return found


def test_python_plays_the_play(client, monkeypatch, served):
    client.connect(served, TOKEN)
    lines = []
    importlib.import_module("play").play(PLAY["pack"], PLAY["steps"], lambda seen: lines.append(json.dumps(seen)))
    hold(lines)


def test_a_turn_is_sent_again_and_a_refusal_told(client, monkeypatch, served):
    client.connect(served, TOKEN)
    pauses, sent = [], []

    def broken(url, **options):
        answer = fetch(url, **options)
        sent.append(url)
        if len(sent) == 1:
            raise FetchError(httpx.ReadError("the connection broke"))
        return answer

    monkeypatch.setattr(client, "pause", pauses.append)
    monkeypatch.setattr(client, "fetch", broken)
    reply = client.Npc("tavern").say("Good evening.")
    assert (reply["is_repeat"], len(sent), len(pauses)) == (True, 2, 1)
    client.connect(served, "wrong-token-of-nobody")
    with pytest.raises(client.Refused, match="token") as told:
        client.Npc("tavern").say("Good evening.")
    assert (told.value.status, bool(told.value.hint)) == (401, True)


def test_the_sidecar_starts_with_the_game_and_ends_with_it(tmp_path):
    code = (
        "import constrained_npc as client, sys\n"
        "from tests.clients.test_renpy import fetch\n"
        "import time; client.fetch, client.pause = fetch, time.sleep\n"
        "process = client.start_sidecar(sys.argv[2:], sys.argv[1])\n"
        "print(process.pid, client.Npc('tavern').say('A room, please.', state={'gold': 80})['number'])\n"
    )
    serve = [sys.executable, "-c", "from constrained.cli.main import main; main()", "serve", "tavern", "--rules"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(GAME), str(CLIENTS.parent)))}
    command = [sys.executable, "-c", code, str(tmp_path / "data"), *serve]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    pid, number = done.stdout.split()
    assert (number, ends(int(pid))) == ("1", True)


SCRIPT = """
define config.name = "play"
init python:
    import json, play, constrained_npc
    if not hasattr(renpy, "fetch"):  # before 8.1
        import stand_in
        constrained_npc.fetch = stand_in.fetch
init 1 python:
    b = Character("Brom", interact=False)
    narrator = Character(None, interact=False)
label main_menu:
    return
label start:
    python:
        asked = json.load(open(config.basedir + "/play.json"))
        constrained_npc.connect(asked["url"], asked["token"])
        lines = []
        play.play(asked["pack"], asked["steps"], lambda seen: lines.append(json.dumps(seen)))
        messages = ["Good evening.", "Sixty gold for the cellar key, old man?", "Is that key mine now?", ""]
        renpy.input = lambda *_, **__: messages.pop(0)
    call constrained_sample
    $ first = brom.conversation
    call after_load
    python:
        lines.append(json.dumps([messages, purse, belt, said, brom.conversation != first]))
        open(config.basedir + "/seen", "w").write("\\n".join(lines))
        renpy.quit()
"""
STAND_IN = """
import json as codec, urllib.error, urllib.request
class Answer:
    def __init__(self, error):
        self.status_code, self._text = error.code, error.read()
    def json(self):
        return codec.loads(self._text)
class FetchError(Exception):
    def __init__(self, error):
        super().__init__(str(error))
        self.original_exception = error
        error.response = Answer(error)
def fetch(url, method=None, json=None, timeout=5, headers=None):
    headers = dict(headers, **{"Content-Type": "application/json"})
    body = None if json is None else codec.dumps(json).encode()
    try:
        return urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=timeout).read()
    except urllib.error.HTTPError as error:
        raise FetchError(error) from error
"""


@pytest.mark.slow
@pytest.mark.skipif(not RENPY, reason="no Ren'Py here; name its command line with RENPY")
def test_renpy_lints_the_sample_and_plays_the_play(tmp_path):
    game = tmp_path / "game"
    shutil.copytree(GAME, game, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(GAME.parent / "play.py", game)
    (game / "script.rpy").write_text(SCRIPT, encoding="utf-8")
    (game / "stand_in.py").write_text(STAND_IN, encoding="utf-8")
    quiet = {"SDL_AUDIODRIVER": "dummy", "RENPY_RENDERER": "sw", **os.environ, "HOME": str(tmp_path)}
    with serving() as address:
        (tmp_path / "play.json").write_text(json.dumps({"url": address, "token": TOKEN, **PLAY}))
        for command in ("lint", "run"):
            done = subprocess.run([*RENPY, str(tmp_path), command], env=quiet, capture_output=True, text=True, timeout=180, check=False)
            report = done.stdout + done.stderr + "".join(one.read_text() for one in tmp_path.glob("*.txt") if one.name != "log.txt")
            assert (done.returncode, "Full traceback" in report) == (0, False), report
    *lines, sample = (tmp_path / "seen").read_text().splitlines()
    hold(lines)
    key_already_yours = load_policy("tavern").catalog["key_already_yours"].texts["en"].literal
    assert json.loads(sample) == [[], 30, ["cellar key"], key_already_yours, True]
