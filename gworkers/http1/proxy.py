"""The end of a PROXY protocol header. Gunicorn's parser reads and checks its content."""
from __future__ import annotations

#: How a header of version 2 begins. It contains empty lines, so it must not be searched for the end of a request head.
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

#: The number of bytes that show the version, or that there is no PROXY header.
SIGNATURE_SIZE = len(SIGNATURE)
#: The size in bytes of a header of version 2 without its addresses.
FIXED_SIZE = 16


def proxy_mode(setting: object) -> str:
    """Return the mode in the setting ``proxy_protocol``. Before Gunicorn 24 it was a bool: version 1 or off."""
    if isinstance(setting, bool):
        return "v1" if setting else "off"
    return str(setting)


def proxy_header_end(data: bytes | bytearray, mode: str) -> int:
    """Return the size of the PROXY header at the start of *data*: 0 if there is none, -1 if more bytes are needed."""
    if len(data) < SIGNATURE_SIZE:
        return -1
    if mode != "v1" and data.startswith(SIGNATURE):
        end = FIXED_SIZE + int.from_bytes(data[FIXED_SIZE - 2:FIXED_SIZE], "big")
        return end if len(data) >= end else -1
    if mode != "v2" and data.startswith(b"PROXY "):
        line = data.find(b"\r\n")
        return line + 2 if line >= 0 else -1
    return 0
