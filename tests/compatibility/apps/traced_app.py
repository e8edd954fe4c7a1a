"""A Flask application whose requests call the server UPSTREAM with requests. An agent traces both."""

import os

import flask
import requests

app = flask.Flask(__name__)


@app.route("/call/<number>")
def call(number):
    return requests.get(f"{os.environ['UPSTREAM']}/called/{number}", timeout=30).text
