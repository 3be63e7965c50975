"""Whom https trusts: the certificate authorities that OpenSSL finds.

They are in the system's file and folder, or in those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name in place of each.
aiohttp loads them twice when it is imported, 25 ms each time, asked for or not. The child of a ProcessTransport waits
with its first request for that import, so it leaves them out there, and loads them once where https is first asked.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_NAMES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@contextmanager
def nobody() -> Iterator[None]:
    """Let what is imported meanwhile find no authorities, which it trusts none of for good.

    Only for a process that is ours alone: a service that imports aiohttp as well relies on what that loads.
    """
    before = {name: os.environ.get(name) for name in _NAMES}
    os.environ.update(dict.fromkeys(_NAMES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def authorities() -> ssl.SSLContext:
    """Return what verifies a server's certificate; loaded the first time."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(("http/1.1",))
    return context
