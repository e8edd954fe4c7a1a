"""Python imports this by itself in every test server: there, too, a warning is an error."""

from __future__ import annotations

import os
import warnings

warnings.simplefilter("error")
# For whoever imports eventlet, which is what its users know.
warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
# What it says to everybody who patches Gunicorn's master, as preload_app needs it.
warnings.filterwarnings("ignore", r"Using fork\(\) is a bad idea")
# Gunicorn, eventlet and applications that drop a socket leave closing to the garbage collector.
warnings.simplefilter("ignore", ResourceWarning)

if "TEST_RENAMED" in os.environ:
    import renamed

    renamed.install(os.environ["TEST_RENAMED"])
