"""Write the steps of a Dockerfile as two shell scripts: ``dockerfile.py DOCKERFILE BUILD RUN``.

BUILD expects the build context in /context. RUN starts the container's command as the image's user, waits until the
health check succeeds, requests the page, and stops the command. An instruction that this program does not support is an
error.
"""
from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

ASK = """import urllib.request; print(urllib.request.urlopen("http://127.0.0.1:8000/").read().decode())"""


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the names of the instructions and their arguments."""
    lines = re.sub(r"\\\n", "", text).splitlines()
    found = [line.partition(" ") for line in lines if line.strip() and not line.startswith("#")]
    return [(name.upper(), rest.strip()) for name, _, rest in found]


def command(rest: str) -> str:
    """Return the command of the exec form, ``["word", ...]``, as words for a shell."""
    return shlex.join(json.loads(rest[rest.index("["):]))


def main() -> None:
    dockerfile, build, run = map(Path, sys.argv[1:])
    environment = ["export PATH=/usr/local/image/bin:$PATH"]
    steps: list[str] = []
    user, directory, start, healthy = "root", "/", "", ""
    for name, rest in instructions(dockerfile.read_text()):
        if name == "ENV":
            environment += [f"export {shlex.quote(pair)}" for pair in shlex.split(rest)]
        elif name == "RUN":
            steps.append(f"( {rest} )")
        elif name == "COPY":
            *sources, target = shlex.split(rest)
            steps.append(f"mkdir -p {target}")
            steps += [f"cp -r /context/{source}{'/.' if source == '.' else ''} {target}" for source in sources]
        elif name == "USER":
            user = rest
        elif name == "WORKDIR":
            directory = rest
            steps += [f"mkdir -p {directory}", f"cd {directory}"]
        elif name == "HEALTHCHECK":
            healthy = command(rest)
        elif name == "CMD":
            start = command(rest)
        elif name not in ("FROM", "EXPOSE"):
            sys.exit(f"{dockerfile}: {name} is not supported")
    build.write_text("\n".join([*environment, *steps, ""]))
    as_user = f"setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs"
    run.write_text("\n".join([
        *environment, f"cd {directory}", f"{as_user} {start} &", "started=$!",
        f"for second in $(seq 60); do {as_user} {healthy} && break; sleep 1; done",
        f"{as_user} {healthy}", f"{as_user} python -c {shlex.quote(ASK)}", "kill -TERM $started", "wait $started", ""]))


if __name__ == "__main__":
    main()
