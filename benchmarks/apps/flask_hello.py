"""A Flask view as small as hello. It measures the server's share when a framework does the rest."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello, World!"
