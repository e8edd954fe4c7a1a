"""A Flask application whose request leaves a function behind."""

import time

from app_support import say
from flask import Flask, current_app, g, request, session

from gworkers import background

app = Flask(__name__)
app.secret_key = "secret"


@app.teardown_request
def teardown(error):
    say(f"teardown {request.path}")


@app.post("/<name>")
def view(name):
    g.name = session["name"] = name
    request.get_data()
    background.spawn(later)
    return "ok"


def later():
    time.sleep(0.1)
    say(f"later {request.path} {request.args['number']} {g.name} {session['name']} {current_app.name} "
        f"{request.get_data().decode()}")
