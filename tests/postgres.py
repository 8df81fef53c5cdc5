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


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a server that was started for these tests; skips where none is installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'constrained[evidence]'")
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install 'constrained[evidence]'")
    initdb = shutil.which("initdb", path=os.pathsep.join([*map(str, SERVERS), os.environ["PATH"]]))
    if initdb is None:
        pytest.skip("PostgreSQL is not installed here")
    folder = Path(tempfile.mkdtemp(prefix="constrained-pg-"))
    as_user = _as_other_user(folder)
    control = str(Path(initdb).with_name("pg_ctl"))
    data, options = str(folder / "data"), f"-k {folder} -c listen_addresses= -c max_connections=100"
    run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*as_user, initdb, "-D", data, "-U", "postgres", "-A", "trust"], **run)
    subprocess.run([*as_user, control, "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start"], **run)
    yield f"postgresql://postgres@/postgres?host={folder}"
    subprocess.run([*as_user, control, "-D", data, "-m", "immediate", "-w", "stop"], **run)
    shutil.rmtree(folder)


def _as_other_user(folder: Path) -> list[str]:
    """The server refuses to run as root."""
    if os.getuid():
        return []
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
