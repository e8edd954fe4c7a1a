"""Django, with the project in examples/django and PostgreSQL."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys

import pytest

from support.burst import burst
from support.forms import HEADER, form
from support.paths import ROOT

pytestmark = pytest.mark.library(
    "django", "psycopg", "psycopg-pool", "whitenoise", area="Web frameworks",
    note="Use Django's pool of connections. For async views set `asyncio_thread`.")

PROJECT = ROOT / "examples" / "django"
PASSWORD = "correct horse"


@pytest.fixture(scope="session")
def environment(database, tmp_path_factory):
    """The environment of the project. Its tables and static files exist, and a user of the admin."""
    env = {"PGHOST": str(database("postgres").socket.parent), "PGUSER": "postgres", "PGPOOL": "10",
           "STATIC_ROOT": str(tmp_path_factory.mktemp("static"))}
    manage(env, "migrate")
    manage(env, "collectstatic", "--noinput")
    manage({**env, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}, "createsuperuser", "--noinput", "--username", "admin",
           "--email", "admin@example.com")
    return env


def manage(env, *words):
    done = subprocess.run([sys.executable, "manage.py", *words], cwd=PROJECT, env={**os.environ, **env},
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def server(library_app, environment):
    return library_app("documents.wsgi:application", example="django", env=environment,
                       settings={"asyncio_thread": "yes"})


def post(server, name, content):
    """Upload a file; returns the response."""
    return server.connect().request(f"/upload?{name}", method="POST", body=form("file", content),
                                    headers=[HEADER, "Host: localhost"])


def get(client, target):
    return client.request(target, headers=["Connection: close", "Host: localhost"])


def test_queries_wait_on_the_hub(server, environment):
    """200 requests share a pool of ten connections to PostgreSQL."""
    for _ in range(2):
        responses = burst(server, [f"/slow?number={number}" for number in range(200)], send=get).responses
        assert [json.loads(response.body) for response in responses] == [{"number": str(n)} for n in range(200)]
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(host=environment["PGHOST"], user=environment["PGUSER"]) as connection:
        count = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                                   "AND pid <> pg_backend_pid()").fetchone()[0]
    assert 1 <= count <= 10


def test_async_views(server):
    """200 requests to an async view that uses the ORM."""
    post(server, "", b"latest")
    responses = burst(server, [f"/latest?number={number}" for number in range(200)], send=get).responses
    assert [json.loads(response.body) for response in responses] == [
        {"name": "file.bin", "number": str(number)} for number in range(200)]


def test_upload(server):
    """A file of 20 MB is uploaded."""
    content = os.urandom(20_000_000)
    response = json.loads(post(server, "", content).body)
    assert response["sha256"] == hashlib.sha256(content).hexdigest()


def test_streaming_response(server):
    """A response streams rows of the database."""
    post(server, "", b"12345")
    response = get(server.connect(), "/export")
    assert response.framing == "chunked"
    assert response.text.startswith("name,size\n")
    assert response.text.endswith("file.bin,5\n")


def test_sessions(server):
    """Sessions in the database."""
    cookie = ""
    for visit in (1, 2, 3):
        response = server.connect().request("/visits", headers=["Host: localhost", f"Cookie: {cookie}"])
        assert response.text == f"{visit}\n"
        cookie = response.all("Set-Cookie")[0].partition(";")[0]


def test_admin(server):
    """The admin: the login with its CSRF token, a list, and static files by WhiteNoise."""
    requests = pytest.importorskip("requests")
    post(server, "", b"listed")
    site = "http://{}:{}".format(*server.address)
    with requests.Session() as session:
        page = session.get(f"{site}/admin/documents/document/")
        assert page.url.startswith(f"{site}/admin/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(.*?)"', page.text)[1]
        page = session.post(page.url, {"csrfmiddlewaretoken": token, "username": "admin", "password": PASSWORD})
        assert page.url == f"{site}/admin/documents/document/"
        assert "file.bin" in page.text
        style = session.get(site + re.search(r'href="(/static/admin/css/base\.css)"', page.text)[1])
        assert (style.status_code, style.headers["Content-Type"]) == (200, 'text/css; charset="utf-8"')
