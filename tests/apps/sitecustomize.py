"""Python imports this module at the start of every test server. It turns warnings into errors."""

from __future__ import annotations

import os
import warnings

warnings.simplefilter("error")
# Each import of eventlet causes this warning.
warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
# A fork of a patched master causes this warning, which preload_app requires.
warnings.filterwarnings("ignore", r"Using fork\(\) is a bad idea")
# Gunicorn, eventlet and some applications let the garbage collector close sockets.
warnings.simplefilter("ignore", ResourceWarning)

if "TEST_RENAMED" in os.environ:
    import renamed

    renamed.install(os.environ["TEST_RENAMED"])
