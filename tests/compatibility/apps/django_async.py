"""Async views of Django with PostgreSQL in DATABASE_DIRECTORY."""

import asyncio
import os

from app_support import say
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres",
                           "HOST": os.environ["DATABASE_DIRECTORY"]}},
    MIDDLEWARE=["django_async.use_connection"],
    ROOT_URLCONF="django_async",
    SECRET_KEY="secret",
)

from asgiref.sync import sync_to_async  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

cancelled_count = 0


def value(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def pid():
    return value("select pg_backend_pid() from pg_sleep(0.05)")


def use_connection(get_response):
    """A synchronous middleware, which opens the connection of the request."""
    def middleware(request):
        if request.path == "/query":
            request.pid = pid()
        return get_response(request)

    return middleware


async def wait(request):
    await asyncio.sleep(0.1)
    return HttpResponse("waited")


async def query(request):
    found = [request.pid, await sync_to_async(pid)()]
    found += await asyncio.gather(sync_to_async(pid)(), asyncio.create_task(sync_to_async(pid)()))
    return JsonResponse(found, safe=False)


async def cancelled(request):
    global cancelled_count
    try:
        await asyncio.sleep(30)
    finally:
        await sync_to_async(pid)()
        cancelled_count += 1
        if cancelled_count == 20:
            say("cancelled 20")


def connections(request):
    """The number of connections to the database, this one included."""
    return JsonResponse(value("select count(*) from pg_stat_activity where backend_type = 'client backend'"),
                        safe=False)


urlpatterns = [path(view.__name__, view) for view in (wait, query, cancelled, connections)]
app = get_wsgi_application()
