"""The package for Unity: what needs no UnityEngine is compiled by mono's compiler and plays the play; the rest is compiled against a stub.

Needs mcs and mono, and Newtonsoft.Json.dll beside mono's or in NEWTONSOFT (Debian: mono-mcs, libnewtonsoft-json5.0-cil).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import CLIENTS, TOKEN, ends, hold

HERE, MCS, MONO = CLIENTS / "unity", shutil.which("mcs"), shutil.which("mono")
NEWTONSOFT = Path(os.environ.get("NEWTONSOFT", "/usr/lib/cli/Newtonsoft.Json-5.0/Newtonsoft.Json.dll"))
pytestmark = pytest.mark.skipif(not (MCS and MONO and NEWTONSOFT.is_file()), reason="no mono with Newtonsoft.Json here")
CORE = [HERE / "Runtime" / name for name in ("Server.cs", "Npc.cs", "Sidecar.cs")]
STUB = """
using System;
namespace UnityEngine {
    public class MonoBehaviour {}
    public static class Debug { public static void LogWarning(object message) {} }
    public static class Application { public static string persistentDataPath; }
    public static class Time { public static float realtimeSinceStartup; }
    public static class GUILayout {
        public static void Label(string text) {}
        public static string TextField(string text, int most) { return text; }
        public static bool Button(string text) { return false; }
    }
}
namespace UnityEngine.Networking {
    public class DownloadHandler { public string text; }
    public class UploadHandler {}
    public class DownloadHandlerBuffer : DownloadHandler {}
    public class UploadHandlerRaw : UploadHandler { public UploadHandlerRaw(byte[] data) {} }
    public class UnityWebRequestAsyncOperation {}
    public class UnityWebRequest : IDisposable {
        public UnityWebRequest(string url, string method) {}
        public DownloadHandler downloadHandler; public UploadHandler uploadHandler;
        public int timeout; public bool isDone; public long responseCode; public string error;
        public void SetRequestHeader(string name, string value) {}
        public string GetResponseHeader(string name) { return null; }
        public UnityWebRequestAsyncOperation SendWebRequest() { return null; }
        public void Abort() {}
        public void Dispose() {}
    }
}
"""


def build(folder, name, *sources):
    """Compiles as C# 7, which every Unity of today reads; a warning is an error."""
    shutil.copy(NEWTONSOFT, folder)
    kind = "exe" if name.endswith(".exe") else "library"
    references = ["-r:System.Net.Http.dll", f"-r:{folder / NEWTONSOFT.name}"]
    command = [MCS, "-langversion:7", "-warnaserror", f"-target:{kind}", f"-out:{folder / name}", *references, *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / name


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    return build(tmp_path_factory.mktemp("unity"), "play.exe", *CORE, HERE / "Tests~" / "play.cs")


def test_mono_plays_the_play(play, served):
    command = [MONO, play, served, TOKEN, CLIENTS / "conformance.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    hold(done.stdout.splitlines())


def test_the_sidecar_starts_and_ends_with_the_game(play, tmp_path):
    """Its folder has a space and a quote in its name, its argument too."""
    code = 'from constrained.cli.main import main; main()  # "quoted" \\'
    serve = [sys.executable, "-c", code, "serve", "tavern", "--rules"]
    environment = {**os.environ, "PYTHONPATH": str(CLIENTS.parent)}
    command = [MONO, play, "sidecar", tmp_path / 'the "data" of a game', *serve]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=120, check=False)
    pid, number = done.stdout.splitlines()[-1].split()
    assert (number, ends(int(pid))) == ("1", True)


def test_what_needs_unity_compiles_against_a_stub(tmp_path):
    (tmp_path / "stub.cs").write_text(STUB, encoding="utf-8")
    sources = [*(HERE / "Runtime").glob("*.cs"), HERE / "Samples~" / "Tavern" / "TavernTalk.cs", tmp_path / "stub.cs"]
    build(tmp_path, "unity.dll", *sources)


def test_the_package_says_what_it_is():
    described = json.loads((HERE / "package.json").read_text(encoding="utf-8"))
    assert described["license"] == "Apache-2.0"
    assert all((HERE / sample["path"]).is_dir() for sample in described["samples"])
