"""Results in a file, so that they can be printed, compared and drawn again later."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .load import Reading
from .measurement import Results, Series


def machine() -> dict[str, Any]:
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor(),
        "processors": os.cpu_count(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def save(path: Path, results: Results, rounds: int, seconds: int) -> None:
    readings = {
        workload: {peer: [reading and asdict(reading) for reading in its.readings] for peer, its in series.items()}
        for workload, series in results.series.items()
    }
    content = {
        "machine": machine(),
        "rounds": rounds,
        "seconds": seconds,
        "readings": readings,
        "failures": results.failures,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def read(path: Path) -> Results:
    content = json.loads(path.read_text())
    return Results(
        {
            workload: {
                peer: Series([reading and Reading(**reading) for reading in readings])
                for peer, readings in series.items()
            }
            for workload, series in content["readings"].items()
        },
        content["failures"],
    )
