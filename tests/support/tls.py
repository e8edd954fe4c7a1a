"""Certificates for servers, and clients that trust them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.client import Client
from support.server import Server

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass
class Certificates:
    """Files that the server is given, and what its clients need to know."""

    certfile: Path
    keyfile: Path
    both: Path
    ca_certs: Path
    authority: Any

    @property
    def options(self) -> tuple[object, ...]:
        return "--certfile", self.certfile, "--keyfile", self.keyfile

    def context(self, version: str = "1.3", own: bool = False) -> ssl.SSLContext:
        """A client's: one TLS version only, with a certificate of its ``own`` if asked."""
        context = ssl.create_default_context()
        context.minimum_version = context.maximum_version = VERSIONS[version]
        self.authority.configure_trust(context)
        if own:
            self.authority.issue_cert("alice@example.org").configure_cert(context)
        return context


def secured(server: Server, context: ssl.SSLContext) -> Client:
    """A client of the server after its TLS handshake."""
    client = server.connect()
    client.sock = context.wrap_socket(client.sock, server_hostname="127.0.0.1")
    return client
