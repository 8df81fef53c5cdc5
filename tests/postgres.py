"""A real PostgreSQL server for the tests of a session; skips where none is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class PostgresServer:
    """A server of its own in a new folder, on a socket there. It can be stopped at once, as by a crash, and started again.

    Attributes:
        url: the address of its database.
    """

    def __init__(self, initdb: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="constrained-pg-"))
        self.url = f"postgresql://postgres@/postgres?host={self.folder}"
        self._as_user, self._control = _as_other_user(self.folder), str(Path(initdb).with_name("pg_ctl"))
        self._run(initdb, "-D", self._data, "-U", "postgres", "-A", "trust")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses= -c max_connections=100"
        self._run(self._control, "-D", self._data, "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        self._run(self._control, "-D", self._data, "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, *command: str) -> None:
        subprocess.run([*self._as_user, *command], check=True, stdout=subprocess.DEVNULL, cwd=self.folder)


def find_initdb() -> str | None:
    return shutil.which("initdb", path=os.pathsep.join([*map(str, SERVERS), os.environ["PATH"]]))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a server that was started for these tests; skips where none is installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'constrained[evidence]'")
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install 'constrained[evidence]'")
    initdb = find_initdb()
    if initdb is None:
        pytest.skip("PostgreSQL is not installed here")
    server = PostgresServer(initdb)
    server.start()
    yield server.url
    server.remove()


def _as_other_user(folder: Path) -> list[str]:
    """The server refuses to run as root."""
    if os.getuid():
        return []
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
