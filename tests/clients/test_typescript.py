"""The client for browsers and node: in a real node, in a real Chromium from a page of another origin, its types, its sidecar."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.clients.conftest import CLIENTS, PLAY, TOKEN, ends, hold, serving
from tests.serve.page_browser import browser, find_chromium

NODE, HERE = shutil.which("node"), CLIENTS / "typescript"
TSC = os.environ.get("TSC") or shutil.which("tsc")
needs_node = pytest.mark.skipif(NODE is None, reason="no node here")


def node(*arguments, **options):
    return subprocess.run([NODE, *arguments], cwd=HERE, capture_output=True, text=True, timeout=120, check=False, **options)


@needs_node
def test_node_plays_the_play(served):
    done = node("play.js", served, TOKEN)
    assert done.returncode == 0, done.stderr
    hold(done.stdout.splitlines())


@needs_node
def test_a_turn_is_sent_again_until_its_reply_comes(served):
    """The connection breaks behind the first request: the second one with its key finds the turn."""
    script = """
        import { Constrained } from "./index.js";
        const [url, token] = process.argv.slice(2), real = fetch;
        let n = 0;
        globalThis.fetch = async (...asked) => {
            const found = await real(...asked);
            if (!n++) throw new TypeError("broken");
            return found;
        };
        const waits = [], server = new Constrained(url, token, { wait: async (ms) => { waits.push(ms); } });
        const reply = await server.npc("tavern").say("Good evening.");
        console.log(JSON.stringify([n, waits.length, reply.number, reply.is_repeat]));
        server.attempts = 2;
        globalThis.fetch = async () => { throw new TypeError("away"); };
        console.log(JSON.stringify(await server.npc("tavern").say("x").catch((error) => [error.status, error.name])));
    """
    done = node("--input-type=module", "-", served, TOKEN, input=script)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[2, 1, 1, True], [0, "Refused"]], done.stderr


@needs_node
def test_the_sidecar_starts_and_ends_with_node(tmp_path):
    script = """
        import { startSidecar } from "./sidecar.js";
        const [data, ...command] = process.argv.slice(2);
        const { server, process: child } = await startSidecar(command, { data });
        const reply = await server.npc("tavern").say("A room, please.", { state: { gold: 80 } });
        console.log(child.pid, reply.number);
        process.exit(0);
    """
    serve = [sys.executable, "-c", "from constrained.cli.main import main; main()", "serve", "tavern", "--rules"]
    environment = {**os.environ, "PYTHONPATH": str(CLIENTS.parent)}
    done = node("--input-type=module", "-", str(tmp_path), *serve, input=script, env=environment)
    assert done.returncode == 0, done.stderr
    pid, number = done.stdout.split()
    assert number == "1"
    assert ends(int(pid))


@needs_node
def test_a_sidecar_that_cannot_start_says_why():
    script = """
        import { startSidecar } from "./sidecar.js";
        for (const command of [["no-such-command"], [process.argv[2], "-c", "import sys; sys.exit('the pack is missing')"]])
            await startSidecar(command).catch((error) => console.log(error.message));
    """
    done = node("--input-type=module", "-", sys.executable, input=script)
    assert ("ENOENT" in done.stdout, "the pack is missing" in done.stdout) == (True, True), done.stdout + done.stderr


@pytest.mark.skipif(TSC is None, reason="no tsc here; name one with the variable TSC")
def test_the_types_are_those_of_the_source(tmp_path):
    flags = json.loads((HERE / "package.json").read_text())["scripts"]["types"].partition("tsc ")[2].split()
    roots = ["--typeRoots", f"{os.environ['TSC_TYPES']}", "--types", "node"] if "TSC_TYPES" in os.environ else []
    done = subprocess.run([TSC, *flags, *roots, "--outDir", tmp_path], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for made in sorted(tmp_path.glob("*.d.ts")):
        assert made.read_text() == (HERE / made.name).read_text(), f"{made.name}: npm run types"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def page():
    """A page of another origin: the address of a server of the clients' files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=CLIENTS)) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://localhost:{files.server_port}"
        files.shutdown()


IN_PAGE = """(async (url, token, pack, steps) => {
    const { play } = await import("/typescript/play.js"), { Constrained } = await import("/typescript/index.js");
    const seen = [], heard = [], server = new Constrained(url, token);
    const stop = server.events((event) => heard.push(event.kind));
    await play(url, token, steps, pack, (one) => seen.push(JSON.stringify(one)));
    for (const npc = server.npc(pack); !heard.length; ) await npc.say("Good evening."); // it listens from some moment on
    stop();
    return { seen, heard };
})("%s", "%s", "%s", %s)"""


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here; name one with the variable CHROMIUM")
def test_a_page_of_another_origin_plays_and_listens(page, tmp_path):
    with serving(page) as address, browser(tmp_path) as tab:
        tab.call("Page.navigate", url=f"{page}/conformance.json")
        tab.wait_for("document.readyState === 'complete'")
        found = tab.look(IN_PAGE % (address, TOKEN, PLAY["pack"], json.dumps(PLAY["steps"])))
    hold(found["seen"])
    assert set(found["heard"]) == {"turn"}
