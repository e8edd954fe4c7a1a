"""Dash."""

from __future__ import annotations

import json

import pytest

from support.browser import CHROMIUM, Browser
from support.burst import burst
from support.requirements import unavailable

pytestmark = pytest.mark.library(
    "dash", area="Web frameworks",
    note="Use `Dash(..., use_async=False)`: otherwise, if asgiref is installed, callbacks run one after the other.")


@pytest.fixture
def server(library_app):
    return library_app("dash_app:app")


def test_callbacks_of_many_clients(server):
    """100 callbacks at the same time."""
    def call(client, name):
        body = {"output": "greeting.children", "outputs": {"id": "greeting", "property": "children"},
                "inputs": [{"id": "name", "property": "value", "value": name}], "changedPropIds": ["name.value"]}
        return client.request("/_dash-update-component", method="POST", body=json.dumps(body).encode(),
                              headers=["Content-Type: application/json", "Connection: close"])

    # Dash completes its setup in the first request.
    assert server.connect().request("/_dash-layout").status == 200
    responses = burst(server, map(str, range(100)), send=call).responses
    assert [json.loads(response.body)["response"]["greeting"]["children"] for response in responses] == [
        f"Hello, {number}!" for number in range(100)]


def test_page_in_a_browser(server):
    """A page and its callback in Chromium."""
    if CHROMIUM is None:
        unavailable("no Chromium in PATH: install the package chromium")
    with Browser() as browser:
        browser.open("http://{}:{}/".format(*server.address))
        browser.until("document.querySelector('#greeting')?.innerText == 'Hello, world!'")
        browser.evaluate("document.querySelector('#name').focus()")
        browser.call("Input.insertText", text="!")
        browser.until("document.querySelector('#greeting').innerText == 'Hello, world!!'")
        assert browser.problems == []
