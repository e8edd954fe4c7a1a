"""An example of examples/deployment, with addresses of its own, run by its own script."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from support.client import Client
from support.paths import ROOT
from support.requirements import free_ports
from support.waiting import WAIT_LIMIT, until

EXAMPLES = ROOT / "examples" / "deployment"


def copy_of(name: str, destination: Path) -> dict[str, int]:
    """Copy the deployment *name* and the application to *destination*, with free ports in place of those in the files.

    :returns: the free ports, by the ports in the files
    """
    shutil.copytree(EXAMPLES / name, destination / name)
    shutil.copy(EXAMPLES / "webapp.py", destination)
    files = [path for path in (destination / name).iterdir() if path.is_file()]
    texts = {path: path.read_text() for path in files}
    pattern = r"(?<=127\.0\.0\.1:)[0-9]+|(?<=check port )[0-9]+"
    known = sorted({port for text in texts.values() for port in re.findall(pattern, text)})
    ports = dict(zip(known, free_ports(len(known))))
    for path, text in texts.items():
        path.write_text(re.sub(pattern, lambda match: str(ports[match[0]]), text))
    return ports


class DeployedExample:
    """A deployment that runs until the end of the ``with`` block."""

    def __init__(self, name: str) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="gw"))
        self._name = name
        self._log = self._directory / "log"
        self.ports = copy_of(name, self._directory)

    def __enter__(self) -> DeployedExample:
        gunicorn = Path(sys.executable).with_name("gunicorn")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", str(self._directory / self._name / "run.sh")], env={**os.environ, "GUNICORN": str(gunicorn)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            until(self._serves, f"{self._name} serves", 60)
        except BaseException:
            sys.stderr.write(self.log())
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(WAIT_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise AssertionError(f"{self._name} did not stop:\n{self.log()}") from None
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def log(self) -> str:
        """Return what the processes have printed."""
        return self._log.read_text()

    def wait_for_log(self, text: str, count: int) -> None:
        """Wait until the processes have printed *text* so many times."""
        until(lambda: self.log().count(text) >= count, f"{text} in the log", 60)

    @property
    def master_pid(self) -> int:
        """The process id of Gunicorn's master."""
        match = re.search(r"Listening at: .* \((\d+)\)", self.log())
        assert match, self.log()
        return int(match[1])

    def connect(self) -> Client:
        """Return a new client of the proxy."""
        return Client.connect(("127.0.0.1", self.ports["8080"]))

    def _serves(self) -> bool:
        assert self._process.poll() is None, self.log()
        try:
            client = self.connect()
        except OSError:
            return False
        try:
            return client.request("/").status == 200
        finally:
            client.close()
