"""The command line on a real terminal: it asks, it ends cleanly, and colours only when they are wanted."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import DESK

pty = pytest.importorskip("pty", reason="this platform has no pseudo terminals")
COMMAND = [str(Path(sys.executable).with_name("constrained")), "play", "library", "--rules"]
PATIENCE_S = 60


class Terminal:
    """A command on a terminal of its own, 80 columns wide."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._master, slave = pty.openpty()
        variables = {**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment}
        self._child = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=DESK,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=variables,
            start_new_session=True,
            preexec_fn=_heeds_interrupts,
        )
        os.close(slave)
        self.seen = ""
        self._told = 0  # of ``seen``, what ``until`` has returned

    def until(self, text: str) -> str:
        """What is printed from the last time on up to ``text``; an error when the command ends or stalls before."""
        while text not in self.seen[self._told :]:
            if not self._reads():
                raise AssertionError(f"{text!r} was not printed: {self.seen!r}")
        begin, self._told = self._told, self.seen.index(text, self._told) + len(text)
        return self.seen[begin : self._told]

    def _reads(self) -> bool:
        """Whether more was printed; False at the end, or after a silence that no command should keep."""
        ready, _, _ = select.select([self._master], [], [], PATIENCE_S)
        try:
            read = os.read(self._master, 4096) if ready else b""
        except OSError:  # Linux says EIO when the other side has closed
            read = b""
        self.seen += read.decode(errors="replace")
        return bool(read)

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C, until something is printed: readline does not see a signal that comes just before it waits."""
        for _ in range(PATIENCE_S // 3):
            os.kill(self._child.pid, signal.SIGINT)
            if select.select([self._master], [], [], 3)[0]:
                return
        raise AssertionError("Ctrl-C ends nothing")

    def ends(self) -> int:
        """Reads what is left, and returns the exit status."""
        while self._reads():
            continue
        return self._child.wait(timeout=PATIENCE_S)

    def close(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        os.close(self._master)


def _heeds_interrupts() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would what they start: the tests may be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def terminal() -> Iterator[type[Terminal]]:
    opened: list[Terminal] = []

    class Kept(Terminal):
        def __init__(self, *arguments: str, **environment: str) -> None:
            super().__init__(*arguments, **environment)
            opened.append(self)

    yield Kept
    for one in opened:
        one.close()


@pytest.mark.parametrize("ending", ["/quit\n", "\x04", "ctrl-c"])
def test_a_conversation_ends_cleanly(ending: str, terminal: type[Terminal]) -> None:
    talk = terminal()
    talk.until("you: ")
    talk.types("Good morning!\n")
    talk.until("This conversation is recorded.")
    talk.until("you: ")
    if ending == "ctrl-c":
        talk.interrupt()
    else:
        talk.types(ending)
    assert talk.ends() == 0
    assert "Traceback" not in talk.seen


def test_an_empty_line_is_no_message(terminal: type[Terminal]) -> None:
    talk = terminal()
    talk.until("you: ")
    talk.types("\n")
    assert "Ada" not in talk.until("you: ")
    talk.types("/help\n")
    assert "/state" in talk.until("you: ")


def test_colours_are_used_on_a_terminal_unless_they_are_not_wanted(terminal: type[Terminal]) -> None:
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        talk = terminal("--why", **environment)
        talk.until("you: ")
        talk.types("Good morning!\n")
        shown = talk.until("you: ")
        assert ("\x1b[1;36m" in shown) is coloured
        assert "\x1b[36m" not in shown or coloured
        talk.types("/quit\n")
        assert talk.ends() == 0


def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    lines = "Good morning!\n" * 2000
    command = f"{COMMAND[0]} play library --rules --why | head -n 3"
    done = subprocess.run(["bash", "-c", command], cwd=DESK, input=lines, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 3
    assert done.stderr == ""
