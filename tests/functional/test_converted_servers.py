"""``gworkers convert`` on ten configurations of uWSGI: the settings that matter, and servers that run with them.

The configurations are in tests/uwsgi. Each one is typical for many in public repositories.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gworkers.convert.command_line import main
from support.client import Client
from support.converted import Converted
from support.launch import GUNICORN_SETTINGS, Setup
from support.nginx import NGINX, Nginx
from support.paths import ROOT
from support.tls import Certificates
from support.waiting import until

FILES = ROOT / "tests/uwsgi"
APPLICATION = """
def app(environ, start_response):
    start_response("200 OK", [])
    client = environ.get("HTTP_X_FORWARDED_FOR", "")
    return ["{content} {{}} {{}} {{}}".format(environ["wsgi.url_scheme"], environ["HTTP_HOST"], client).encode()]

{name} = {value}
"""
NAMES = sorted(file.stem for file in FILES.glob("*.json"))


def expected(name: str) -> dict[str, Any]:
    """The environment of a configuration, the settings of Gunicorn and of gworkers, and the options with notes."""
    return json.loads((FILES / f"{name}.json").read_text())


def converted(file: Path, capfd: pytest.CaptureFixture[str]) -> Converted:
    assert main([str(file)]) == 0
    return Converted(*capfd.readouterr())


@pytest.mark.parametrize("name", NAMES)
def test_settings_and_notes(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    wanted = expected(name)
    found = converted(FILES / f"{name}.ini", capfd)
    names = found.settings(**wanted["environ"])
    assert names.pop("own", {}) == wanted["own"]
    names.pop("worker_class")
    if name == "flask-docker":
        assert names["workers"] == os.cpu_count()
        names["workers"] = "the number of processors"
    assert {key: value for key, value in names.items() if key in found.assigned} == wanted["settings"]
    assert found.noted == wanted["notes"]


def test_each_condition_has_an_opposite(capfd: pytest.CaptureFixture[str]) -> None:
    names = converted(FILES / "includes.ini", capfd).settings()
    assert names["workers"] == 2
    assert names["raw_env"] == ["PORTAL_MODE=production"]
    assert names["own"] == {}
    assert "timeout" not in names


# Servers


class Site:
    """A directory in which a configuration, its application and its sockets are, so that it runs on this machine."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self.environ = {**Setup(app="").environment(), **expected(name)["environ"]}
        # The applications of other tests have the same names.
        del self.environ["PYTHONPATH"]
        if "control_socket_disable" in GUNICORN_SETTINGS:
            self.environ["GUNICORN_CMD_ARGS"] = "--no-control-socket"

    def configuration(self) -> Path:
        """The file, with paths, addresses and users of this machine."""
        for file in FILES.glob(f"{self.name}*.ini"):
            (self.directory / file.name).write_text(self._adapted(file.read_text()))
        return self.directory / f"{self.name}.ini"

    def _adapted(self, text: str) -> str:
        user = pwd.getpwuid(os.getuid()).pw_name
        group = grp.getgrgid(os.getgid()).gr_name
        address = rf"\g<1>{self.directory}/http.sock"
        text = re.sub(r"(?m)^((?:http|http-socket|socket|https)\s*=\s*)(?![/\s])[^,\s]+", address, text)
        text = re.sub(r"(?m)^(uid\s*=).*", rf"\1 {user}", text)
        text = re.sub(r"(?m)^(gid\s*=).*", rf"\1 {group}", text)
        text = re.sub(r"(?m)^daemonize\b", "logto", text)
        text = re.sub(r"(?m)^(stats\s*=).*", rf"\1 {self.directory}/stats.sock", text)
        text = re.sub(r"(?m)^stats-push.*", "", text)
        # Two are enough, and a Unix socket cannot belong to several.
        text = re.sub(r"(?m)^(processes|workers)\b.*", r"\1 = 2", text)
        text = re.sub(r"(?m)^reuse-port.*", "", text)
        return re.sub(r"(?<![\w.)])/(srv|run|var|etc)/", rf"{self.directory}/\1/", text)

    def application(self, settings: dict[str, Any]) -> None:
        """Write the application that the settings name, and the directories of all paths."""
        module, _, called = settings["wsgi_app"].partition(":")
        folder = self.directory / settings.get("chdir", "")
        paths = [Path(path) for path in settings.get("pythonpath", "").split(",") if path]
        where = next((path for path in paths if self.name != "includes"), Path())
        file = (folder / where / module.replace(".", "/")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        name = called.rstrip("()")
        value = "lambda: app" if called.endswith(")") else "app"
        file.write_text(APPLICATION.format(content=self.name, name=name, value=value))
        for setting in ("errorlog", "accesslog", "pidfile"):
            Path(settings.get(setting, self.directory)).parent.mkdir(parents=True, exist_ok=True)
        for address in settings["bind"]:
            Path(address.partition(":")[2]).parent.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def server(self) -> Iterator[subprocess.Popen[bytes]]:
        with (self.directory / "output").open("wb") as output:
            process = subprocess.Popen([sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"], cwd=self.directory,
                                       env=self.environ, stdout=output, stderr=output, start_new_session=True)
        try:
            yield process
            process.terminate()
            assert process.wait(30) == 0, self.output
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def output(self) -> str:
        return (self.directory / "output").read_text()


def connected(socket: str, process: subprocess.Popen[bytes]) -> Client | None:
    """A client of the socket, or ``None`` if the server does not listen yet."""
    assert process.poll() is None
    try:
        return Client.connect(socket)
    except (FileNotFoundError, ConnectionRefusedError):
        return None


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    directory = Path(tempfile.mkdtemp(prefix="gw"))
    yield Site(directory, request.param)
    shutil.rmtree(directory)


@pytest.mark.parametrize("site", [
    pytest.param(name, marks=[] if name == "includes" else [pytest.mark.full]) for name in NAMES], indirect=True)
def test_doctor_accepts_the_result_and_a_server_responds(
        site: Site, certificates: Certificates, capfd: pytest.CaptureFixture[str]) -> None:
    found = converted(site.configuration(), capfd)
    (site.directory / "gunicorn.conf.py").write_text(found.text)
    settings = found.settings(**site.environ)
    site.application(settings)
    if site.name == "tls":
        (site.directory / "etc/ssl").mkdir(parents=True)
        shutil.copy(certificates.certfile, site.directory / "etc/ssl/site.crt")
        shutil.copy(certificates.keyfile, site.directory / "etc/ssl/site.key")
    doctor = subprocess.run([sys.executable, "-m", "gworkers", "doctor", "-c", "gunicorn.conf.py"], cwd=site.directory,
                            env=site.environ, text=True, capture_output=True)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    socket = settings["bind"][0].partition(":")[2]
    with site.server() as process:
        client = until(lambda: connected(socket, process), f"a server: {site.output}")
        if site.name == "tls":
            client.sock = certificates.context().wrap_socket(client.sock, server_hostname="localhost")
        variables = dict(each.split("=", 1) for each in settings.get("raw_env", []))
        response = client.request(variables.get("SCRIPT_NAME", "/"))
        assert (response.status, response.text.split()[0]) == (200, site.name)
        client.close()


@pytest.mark.full
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
@pytest.mark.parametrize("site", ["django-nginx"], indirect=True)
def test_nginx_passes_requests_with_the_block_of_the_documentation(
        site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    before, after = re.findall(r"(?ms)^   ```\n(   location.*?)^   ```$", (ROOT / "docs/migrate/uwsgi.md").read_text())
    assert "uwsgi_pass" in before
    found = converted(site.configuration(), capfd)
    (site.directory / "gunicorn.conf.py").write_text(found.text)
    site.application(found.settings())
    socket = f"{site.directory}/run/shop/web.sock"
    assert f"unix:{socket}" in found.settings()["bind"]
    with site.server() as process:
        until(lambda: connected(socket, process), f"a server: {site.output}").close()
        nginx = Nginx(after.replace("/run/shop/web.sock", socket).replace("$scheme", "https"))
        try:
            response = nginx.connect().request("/", headers=["X-Forwarded-For: 203.0.113.7"])
        finally:
            nginx.stop()
        assert response.text == "django-nginx https test 203.0.113.7, unix:"
