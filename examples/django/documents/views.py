"""The views."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from documents.models import Document


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("The admin is at /admin/.\n", content_type="text/plain")


def visits(request: HttpRequest) -> HttpResponse:
    """Count the visits of a browser in its session, which is in the database."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"{request.session['visits']}\n", content_type="text/plain")


@csrf_exempt
@require_POST
def upload(request: HttpRequest) -> JsonResponse:
    """Record a file. Django writes a large one to a temporary file while it arrives."""
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for data in file.chunks():
        digest.update(data)
    document = Document.objects.create(name=file.name, size=file.size, sha256=digest.hexdigest())
    return JsonResponse({"id": document.pk, "size": document.size, "sha256": document.sha256})


def export(request: HttpRequest) -> StreamingHttpResponse:
    """Stream all documents. PostgreSQL sends them in batches."""
    def lines() -> Iterator[str]:
        yield "name,size\n"
        for name, size in Document.objects.order_by("pk").values_list("name", "size").iterator(chunk_size=100):
            yield f"{name},{size}\n"

    return StreamingHttpResponse(lines(), content_type="text/csv")


async def latest(request: HttpRequest) -> JsonResponse:
    """An async view that waits for something else and for the database."""
    _, document = await asyncio.gather(asyncio.sleep(0.1), Document.objects.order_by("pk").alast())
    return JsonResponse({"name": document and document.name, "number": request.GET.get("number")})


def slow(request: HttpRequest) -> JsonResponse:
    """A query that takes 0.1 s. Other requests run in the meantime. PostgreSQL only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.1), %s", [request.GET["number"]])
        return JsonResponse({"number": cursor.fetchone()[1]})
