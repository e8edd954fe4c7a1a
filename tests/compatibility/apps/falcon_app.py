"""Falcon: the routes that the tests of small frameworks use."""

import hashlib
import time

import falcon


class Item:
    def on_get(self, request, response, number):
        time.sleep(request.get_param_as_float("wait", default=0))
        response.content_type = "text/plain"
        response.text = f"{number} {request.get_header('X-Number')}"


class Upload:
    def on_post(self, request, response):
        digest = hashlib.sha256()
        for part in request.get_media():
            for data in iter(lambda part=part: part.stream.read(65536), b""):
                digest.update(data)
        response.text = digest.hexdigest()


class Stream:
    def on_get(self, request, response):
        response.content_type = "text/plain"
        response.stream = (f"{number}\n".encode() for number in range(1000))


app = falcon.App()
app.add_route("/items/{number}", Item())
app.add_route("/upload", Upload())
app.add_route("/stream", Stream())
