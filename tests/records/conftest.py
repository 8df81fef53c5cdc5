"""What the tests of stores share: a real PostgreSQL server for the session, and a place for each kind of log."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from constrained import Policy
from constrained.packs import load_policy_file
from tests.conftest import DESK

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


@pytest.fixture
def database(postgres: str) -> str:
    """An empty database of that server."""
    import psycopg

    name = f"log_{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["jsonl", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a log of each kind is made."""
    if request.param == "postgres":
        return request.getfixturevalue("database")
    return str(tmp_path / {"jsonl": "audit.jsonl", "sqlite": "audit.db"}[request.param])


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Policy]:
    """The desk with words of its catalog or lines of its logic changed: ``edited(logic=[(old, new)])``."""

    def edit(**changes: list[tuple[str, str]]) -> Policy:
        for folder, name in (("catalogs", "library.yaml"), ("logic", "library.py")):
            text = (DESK / folder / name).read_text(encoding="utf-8")
            for old, new in changes.get(folder, ()):
                assert old in text
                text = text.replace(old, new)
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / name).write_text(text, encoding="utf-8")
        return load_policy_file(tmp_path / "logic" / "library.py")

    return edit
