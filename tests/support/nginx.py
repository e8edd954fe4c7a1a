"""A real nginx in front of a server, with a location that it keeps for itself."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from support.client import Client
from support.requirements import find_program
from support.waiting import WAIT_LIMIT, until

NGINX = find_program("nginx")

CONFIG = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen unix:{directory}/listener;
        {locations}
    }}
}}
"""
#: Every WebSocket deployment's: what upgrades is passed on, and one location is not for the public.
WEBSOCKETS = """
location /admin {{ return 403; }}
location / {{
    proxy_pass http://{upstream};
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
}}
"""


class Nginx:
    """One process in the foreground, with a directory and a Unix socket of its own.

    :param locations: the ``location`` blocks of its only site
    """

    def __init__(self, locations: str) -> None:
        assert NGINX is not None
        self.directory = Path(tempfile.mkdtemp(prefix="gw"))
        config = self.directory / "nginx.conf"
        config.write_text(CONFIG.format(directory=self.directory, locations=locations))
        self.clients: list[Client] = []
        self.process = subprocess.Popen(
            [NGINX, "-p", str(self.directory), "-c", str(config), "-e", str(self.directory / "error.log")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        until(self._listens, "nginx listens")

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"nginx did not start: {self.process.communicate()[0].decode()}")
        try:
            Client.connect(str(self.directory / "listener")).close()
        except OSError:
            return False
        return True

    def connect(self) -> Client:
        """A new raw client; closed with the rest."""
        client = Client.connect(str(self.directory / "listener"))
        self.clients.append(client)
        return client

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        self.process.terminate()
        try:
            self.process.communicate(timeout=WAIT_LIMIT)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.communicate()
            shutil.rmtree(self.directory, ignore_errors=True)
