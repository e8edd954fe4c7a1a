"""Responds with the file that BENCHMARK_FILE names, through wsgi.file_wrapper where the server has one."""

import os

PATH = os.environ["BENCHMARK_FILE"]
BLOCK = 64 * 1024


def app(environ, start_response):
    size = os.path.getsize(PATH)
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    file = open(PATH, "rb")  # noqa: SIM115 - the server closes it after the last byte
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file, BLOCK)
    return blocks(file)


def blocks(file):
    with file:
        while block := file.read(BLOCK):
            yield block
