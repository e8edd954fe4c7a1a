"""The views of a Django project are loaded with the application: by a worker and by ``gworkers doctor``."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from support.broken_installs import path
from support.doctor_run import DoctorRun, environment
from support.launch import WORKERS
from support.masters import FAILED, LONG
from support.waiting import until_gone

pytestmark = pytest.mark.library("django", area="Web frameworks")

SHOP = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="shop_urls")
app = get_wsgi_application()
"""
URLS = """
from django.urls import include, path

urlpatterns = [path("", include("shop_views"))]
"""
VIEWS = """
from django.http import HttpResponse
from django.urls import path
from django.views import View

def price(request):
    return HttpResponse("{price}")

class Stock(View):
    async def get(self, request):
        return HttpResponse("many")

urlpatterns = [path("", price), path("stock", Stock.as_view())]
"""


@pytest.fixture
def release(tmp_path):
    """Returns a function that writes the module with the views. The other modules exist."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "shop_urls.py").write_text(URLS)

    def release(views):
        (tmp_path / "shop_views.py").write_text(views)

    return release


@pytest.fixture
def shop_env(tmp_path):
    return {"PYTHONPATH": path(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}


def test_reload_with_a_broken_view_is_refused(start, release, shop_env):
    """A reload with a view that cannot be loaded is refused, and the previous views continue to serve."""
    release(VIEWS.format(price="12 euros"))
    server = start("shop:app", env=shop_env, settings={"asyncio_thread": True})
    old = server.worker_pids()
    release("price = 10 euros\n")
    server.signal(signal.SIGHUP)
    server.wait_for_log(FAILED, LONG)
    server.expect_traceback("SyntaxError: invalid syntax")
    assert server.log(r"\[ERROR\] shop:app cannot be loaded: SyntaxError: .*shop_views\.py:1\)", since=0)
    assert server.connect().request("/").text == "12 euros"
    release(VIEWS.format(price="10 euros"))
    server.signal(signal.SIGHUP)
    until_gone(*old, limit=LONG)
    assert server.connect().request("/").text == "10 euros"


def doctor(hub, env):
    return DoctorRun(subprocess.run(
        [sys.executable, "-m", "gworkers", "doctor", "--json", "-k", WORKERS[hub], "shop:app"],
        env=environment(env), capture_output=True, text=True, timeout=60, check=False))


def test_doctor_finds_async_views(hub, release, shop_env):
    """`gworkers doctor` reports async views if `asyncio_thread` is off."""
    release(VIEWS.format(price="12 euros"))
    assert "shop_views.Stock" in doctor(hub, shop_env).finding("asyncio-conflict")["problem"]


def test_doctor_finds_a_broken_view(hub, release, shop_env):
    """`gworkers doctor` reports a view that cannot be loaded."""
    release("import no_such_module\n")
    finding = doctor(hub, shop_env).finding("application")
    assert "No module named 'no_such_module' (" in finding["problem"]
    assert finding["fatal"]
