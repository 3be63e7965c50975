"""`python -m harvester.transport FD`: the child of a ProcessTransport, where it is a program of its own."""

from __future__ import annotations

import sys

from .child import serve

if __name__ == "__main__":
    serve(int(sys.argv[1]))
