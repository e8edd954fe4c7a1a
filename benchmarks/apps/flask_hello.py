"""A Flask view, as small as hello: what is measured is the server's share when a framework does the rest."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello, World!"
