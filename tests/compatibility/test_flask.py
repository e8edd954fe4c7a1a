"""Flask, with the application in examples/flask."""

from __future__ import annotations

import hashlib
import json
import os
import re

import pytest

from support.burst import burst
from support.forms import HEADER, form

pytestmark = pytest.mark.library("flask", area="Web frameworks")


@pytest.fixture
def server(library_app):
    return library_app("notes:app", example="flask")


def test_context_locals_are_those_of_the_request(server):
    """`request`, `g` and `session` are those of the request, with 200 at the same time."""
    cookies: dict[str, str] = {}

    def note(client, number):
        headers = ["Connection: close", "Content-Type: application/x-www-form-urlencoded"]
        if number in cookies:
            headers.append(f"Cookie: {cookies[number]}")
        return client.request("/notes", method="POST", headers=headers, body=f"note={number}".encode())

    numbers = list(map(str, range(200)))
    for count in (1, 2):
        responses = burst(server, numbers, send=note).responses
        notes = [json.loads(response.body)["notes"] for response in responses]
        assert notes == [[number] * count for number in numbers]
        cookies.update({number: response.header("Set-Cookie").partition(";")[0]
                        for number, response in zip(numbers, responses)})


def test_context_lasts_while_a_response_is_streamed(server):
    """`stream_with_context` keeps them while the response is streamed."""
    responses = burst(server, [f"/count?name={number}" for number in range(200)]).responses
    for number, response in enumerate(responses):
        assert re.fullmatch(rf"0 {number} \d\.\d\d\n1 {number} \d\.\d\d\n2 {number} \d\.\d\d\n", response.text)


def test_file_is_uploaded(server):
    """A file of 20 MB is uploaded."""
    content = os.urandom(20_000_000)
    response = server.connect().request("/files", method="POST", headers=[HEADER], body=form("file", content))
    assert json.loads(response.body) == {"name": "file.bin", "sha256": hashlib.sha256(content).hexdigest()}
