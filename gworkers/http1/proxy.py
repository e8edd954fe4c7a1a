"""Where a PROXY protocol header ends; what it says is for Gunicorn's parser to read and to judge."""
from __future__ import annotations

#: What version 2 of the protocol begins with. It holds two empty lines, as a request head ends in one.
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

#: Bytes that tell which version it is, if any.
TELLING = len(SIGNATURE)
#: Bytes by which all but the addresses can be judged.
FIXED = 16


def proxy_mode(setting: object) -> str:
    """Return the mode that ``proxy_protocol`` is set to; before Gunicorn 24 it could be on (version 1) or off."""
    if isinstance(setting, bool):
        return "v1" if setting else "off"
    return str(setting)


def proxy_header_end(data: bytes | bytearray, mode: str) -> int:
    """Return the size of the PROXY header that *data* starts with: 0 if there is none, -1 if more bytes will tell."""
    if len(data) < TELLING:
        return -1
    if mode != "v1" and data.startswith(SIGNATURE):
        end = FIXED + int.from_bytes(data[FIXED - 2:FIXED], "big")
        return end if len(data) >= end else -1
    if mode != "v2" and data.startswith(b"PROXY "):
        line = data.find(b"\r\n")
        return line + 2 if line >= 0 else -1
    return 0
