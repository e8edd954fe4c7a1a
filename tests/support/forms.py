"""Files as a browser uploads them."""

from __future__ import annotations

#: Separates the parts of a form.
BOUNDARY = b"0f1e2d3c4b5a"
HEADER = f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}"


def form(name: str, content: bytes, **fields: str) -> bytes:
    """Return the body of a form: text fields, and a file in the field *name* (RFC 7578)."""
    parts = [b'Content-Disposition: form-data; name="%s"\r\n\r\n%s' % (field.encode(), value.encode())
             for field, value in fields.items()]
    parts.append(b'Content-Disposition: form-data; name="%s"; filename="file.bin"\r\n'
                 b"Content-Type: application/octet-stream\r\n\r\n%s" % (name.encode(), content))
    return b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY, part) for part in parts) + b"--%s--\r\n" % BOUNDARY
