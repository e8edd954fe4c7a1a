"""An async view."""

import asyncio

from flask import Flask

app = Flask(__name__)


@app.get("/")
async def wait():
    await asyncio.sleep(0.1)
    return "waited"
