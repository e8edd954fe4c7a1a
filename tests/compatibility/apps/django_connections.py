"""Django with persistent connections to PostgreSQL in DATABASE_DIRECTORY, and without garbage collection."""

import gc
import os

from app_support import answer, gates, wait_at
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres",
                           "HOST": os.environ["DATABASE_DIRECTORY"], "CONN_MAX_AGE": 20}},
    ROOT_URLCONF="django_connections",
    SECRET_KEY="secret",
)

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

gc.disable()
waiting = []


def value(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return HttpResponse(str(cursor.fetchone()[0]))


def wait(request):
    """Connect, then wait for 60 requests."""
    response = value("select 1")
    waiting.append(request)
    if len(waiting) == 60:
        gates["60"].set()
    wait_at("60", 60)
    return response


def connections(request):
    """The number of connections to the database, that of this request included."""
    return value("select count(*) from pg_stat_activity where backend_type = 'client backend'")


urlpatterns = [path(view.__name__, view) for view in (wait, connections)]
django_app = get_wsgi_application()


def app(environ, start_response):
    """Answer /greenlets with the number of request greenlets, and /trim after an end of those that are not needed."""
    server = environ["gunicorn.socket"]._connection.server
    if environ["PATH_INFO"] == "/greenlets":
        return answer(start_response, str(server.greenlets.total).encode())
    if environ["PATH_INFO"] == "/trim":
        server.hub.call_soon(server.greenlets.trim)
        return answer(start_response)
    return django_app(environ, start_response)
