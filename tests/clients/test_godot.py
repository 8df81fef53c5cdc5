"""The add-on for Godot 4 plays the conformance play: in a Godot in the path (or GODOT), and in one that was built for the web (GODOT_WEB).

GODOT_WEB names a folder with ``index.js`` and ``index.wasm`` of a web export; the scripts of the add-on run in it unchanged, in Chromium.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from constrained.packs import load_policy
from tests.clients.conftest import CLIENTS, PLAY, TOKEN, hold, serving
from tests.serve.page_browser import browser, find_chromium

PROJECT = CLIENTS / "godot"
GODOT = os.environ.get("GODOT") or shutil.which("godot4") or shutil.which("godot")
WEB = Path(os.environ.get("GODOT_WEB", "/nonexistent"))
PAGE = """<!DOCTYPE html><canvas id="canvas"></canvas><script src="index.js"></script><script>
const out = [], told = (...words) => out.push(words.join(" "));
new Engine({args: ["--headless", "--audio-driver", "Dummy"], executable: "index", mainPack: "index.pck",
    canvasResizePolicy: 0, focusCanvas: false, gdextensionLibs: [], ensureCrossOriginIsolationHeaders: false})
  .startGame({canvas: document.getElementById("canvas"), onPrint: told, onPrintError: told, onExit: () => out.push("played")})
  .catch((error) => out.push(String(error), "played"));
</script>"""


def sources(address):
    """Path -> bytes: the project with the play, and the list of its classes, which the editor would write."""
    found = {str(path.relative_to(PROJECT)): path.read_bytes() for path in PROJECT.rglob("*") if path.suffix in (".gd", ".tscn", ".godot")}
    found["project.godot"] = found["project.godot"].replace(b"demo.tscn", b"play.tscn")  # a release takes no scene by an argument
    classes = []
    for path, text in found.items():
        if named := re.search(rb"class_name (\w+)\s+extends (\w+)", text):
            name, base = (one.decode() for one in named.groups())
            facts = '"icon": "", "is_abstract": false, "is_tool": false, "language": &"GDScript"'
            classes.append(f'{{"base": &"{base}", "class": &"{name}", {facts}, "path": "res://{path}"}}')
    found[".godot/global_script_class_cache.cfg"] = f"list=[{', '.join(classes)}]\n".encode()
    found["play.json"] = json.dumps({"url": address, "token": TOKEN, **PLAY}).encode()
    return found


def pack(files):
    """A Godot pack, format 2: header, directory (path, offset, size, MD5), files."""
    head = struct.pack("<4s5IQ64s", b"GDPC", 2, 4, 0, 0, 0, 0, b"")

    def directory(start):
        entries = [struct.pack("<I", len(files))]
        for path, content in files.items():
            name = f"res://{path}".encode()
            name += bytes(-len(name) % 4)
            entries += [
                struct.pack("<I", len(name)),
                name,
                struct.pack("<QQ", start, len(content)),
                hashlib.md5(content).digest(),
                bytes(4),
            ]
            start += len(content)
        return b"".join(entries)

    return head + directory(len(head) + len(directory(0))) + b"".join(files.values())


def check(lines):
    assert not [line for line in lines if "ERROR" in line], lines
    hold(lines)
    line, wanted, has_buttons = json.loads(next(line for line in lines if line.startswith("box ")).removeprefix("box "))
    key_already_yours = load_policy("tavern").catalog["key_already_yours"].texts["en"].literal
    assert (line, wanted, has_buttons) == (key_already_yours, ["pay", "give"], True)


@pytest.mark.skipif(GODOT is None, reason="no Godot 4 here; name one with the variable GODOT")
def test_godot_plays_the_play(tmp_path):
    with serving() as address:
        for path, content in sources(address).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
        command = [GODOT, "--headless", "--path", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    check(done.stdout.splitlines() + done.stderr.splitlines())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def site(folder):
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://localhost:{files.server_port}"
        files.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here; name one with the variable CHROMIUM")
@pytest.mark.skipif(not WEB.joinpath("index.wasm").is_file(), reason="no Godot 4 for the web here; name its folder with GODOT_WEB")
def test_a_web_export_plays_the_play(tmp_path):
    for file in WEB.glob("*.js"):
        shutil.copy(file, tmp_path)
    (tmp_path / "index.wasm").symlink_to(WEB / "index.wasm")
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "favicon.ico").touch()
    with site(tmp_path) as page, serving(page) as address, browser(tmp_path / "profile") as tab:
        (tmp_path / "index.pck").write_bytes(pack(sources(address)))
        tab.call("Page.navigate", url=f"{page}/index.html")
        tab.wait_for("typeof out === 'object' && out.includes('played')", 120)
        lines = tab.look("out")
    check(lines)
