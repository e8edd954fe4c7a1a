"""Real database servers, each a private instance in a temporary directory, without the system's data.

They listen on a Unix socket, and Redis on a port of 127.0.0.1, too.

Each class is a context manager. It skips the test if the machine lacks the server's programs, which Debian has in the
packages postgresql, mariadb-server-core and redis-server. A server that refuses to run as root runs as ``nobody``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from support.requirements import free_ports, program
from support.waiting import until


class DatabaseServer:
    """One server process and its directory."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gw"))
        self.user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self.user = {"user": "nobody", "extra_groups": []}
            shutil.chown(self.directory, "nobody")
        self.directory.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Create the files that the server needs."""

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        raise NotImplementedError

    @property
    def socket(self) -> Path:
        """The Unix socket that the server listens on."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        try:
            self.prepare()
            with (self.directory / "log").open("wb") as log:
                self.process = subprocess.Popen(self.command(), cwd=self.directory, stdin=subprocess.DEVNULL,
                                                stdout=log, stderr=log, **self.user)
            until(self._listens, f"{type(self).__name__} listens", 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "log").read_text()
        return self.socket.exists()

    def run(self, *words: str) -> None:
        """Run a program of the server to its end."""
        done = subprocess.run(words, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, **self.user)
        assert done.returncode == 0, done.stdout + done.stderr


class Postgres(DatabaseServer):
    """PostgreSQL. Every local user may connect as ``postgres``."""

    def prepare(self) -> None:
        program("postgres")
        self.run(program("initdb"), "-D", str(self.directory / "data"), "-U", "postgres", "-A", "trust",
                 "--no-sync", "-E", "UTF8", "--locale", "C")

    def command(self) -> list[str]:
        return [program("postgres"), "-D", str(self.directory / "data"), "-k", str(self.directory), "-F",
                "-c", "listen_addresses=", "-c", "max_connections=200"]

    @property
    def socket(self) -> Path:
        return self.directory / ".s.PGSQL.5432"


class MariaDB(DatabaseServer):
    """MariaDB. Every local user may connect as ``root``; the database is ``test``."""

    @property
    def _temporary(self) -> str:
        """The option without which a server that starts deletes temporary tables of others."""
        return f"--tmpdir={self.directory}"

    def prepare(self) -> None:
        program("mariadbd")
        self.run(program("mariadb-install-db"), "--no-defaults", f"--datadir={self.directory / 'data'}",
                 self._temporary, "--auth-root-authentication-method=normal", "--skip-name-resolve")

    def command(self) -> list[str]:
        return [program("mariadbd"), "--no-defaults", f"--datadir={self.directory / 'data'}", self._temporary,
                "--skip-networking",
                f"--socket={self.socket}", f"--pid-file={self.directory / 'pid'}", "--max-allowed-packet=64M",
                "--innodb-flush-log-at-trx-commit=0", "--max-connections=500"]

    @property
    def socket(self) -> Path:
        return self.directory / "socket"


class Redis(DatabaseServer):
    """Redis, without persistence."""

    def prepare(self) -> None:
        self.port, = free_ports(1)

    @property
    def url(self) -> str:
        """For libraries that cannot use a Unix socket."""
        return f"redis://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [program("redis-server"), "--bind", "127.0.0.1", "--port", str(self.port),
                "--unixsocket", str(self.socket), "--unixsocketperm", "777",
                "--save", "", "--appendonly", "no", "--dir", str(self.directory)]

    @property
    def socket(self) -> Path:
        return self.directory / "socket"
