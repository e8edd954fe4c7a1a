"""HTTP/1.0 and 1.1: from the bytes of a request to an environ, and from a response to bytes."""
