"""A shop that does work in the background: after responses, at times, after a file has changed, and on signals."""
from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable

from gworkers import background

PRICES = Path(os.environ.get("PRICES", "prices.txt"))
#: In the memory of each worker.
prices: dict[str, int] = {}
ordered: dict[str, int] = {}


@background.on_file_change(PRICES, worker="every")
def load_prices() -> None:
    """Read the file that another program writes, in every worker."""
    lines = PRICES.read_text().splitlines() if PRICES.exists() else []
    prices.clear()
    prices.update({name: int(price) for name, price in (line.split() for line in lines)})
    print(f"worker {os.getpid()} has loaded {len(prices)} prices", flush=True)


@background.signal("ordered", worker="every")
def count_order(item: str) -> None:
    """Count an order, which one worker has accepted, in every worker."""
    ordered[item] = ordered.get(item, 0) + 1


@background.timer(10)
def remove_old_carts() -> None:
    """Do something in one worker of the server."""
    print(f"worker {os.getpid()} removes old carts", flush=True)


@background.cron("0 4 * * *", tz="Europe/Berlin")
def send_report() -> None:
    """Do something once a day."""
    print("the report is sent", flush=True)


def send_confirmation(item: str) -> None:
    """Take some time after the response."""
    time.sleep(1)
    print(f"the order of {item} is confirmed", flush=True)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Accept an order, or list prices and orders."""
    if environ["REQUEST_METHOD"] == "POST":
        item = environ["wsgi.input"].read(100).decode()
        background.send("ordered", item)
        background.spawn(send_confirmation, item)
        body = f"ordered: {item}\n"
    else:
        body = "".join(f"{name}: price {prices.get(name, '?')}, ordered {ordered.get(name, 0)} times\n"
                       for name in sorted({*prices, *ordered}))
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [body.encode()]


load_prices()
