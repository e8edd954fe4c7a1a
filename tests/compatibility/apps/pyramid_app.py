"""Pyramid: the routes that the tests of small frameworks use. ``get_current_request`` is thread-local."""

import hashlib
import time

from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.threadlocal import get_current_request


def item(request):
    time.sleep(float(request.params.get("wait", 0)))
    return Response(f"{request.matchdict['number']} {get_current_request().headers['X-Number']}")


def upload(request):
    return Response(hashlib.sha256(request.POST["file"].file.read()).hexdigest())


def stream(request):
    return Response(app_iter=(f"{number}\n".encode() for number in range(1000)), content_type="text/plain")


with Configurator() as config:
    for name, path, view in (("item", "/items/{number}", item), ("upload", "/upload", upload),
                             ("stream", "/stream", stream)):
        config.add_route(name, path)
        config.add_view(view, route_name=name)
    app = config.make_wsgi_app()
