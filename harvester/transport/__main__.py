"""`python -m harvester.transport FD`: the child of a ProcessTransport, from its first moment.

Its first request waits for these imports, so nothing else is done meanwhile: garbage is not looked for, and no
certificates are loaded. `worker` has what it does then.
"""

from __future__ import annotations

import gc
import sys

if __name__ == "__main__":
    gc.disable()
    from . import trust

    with trust.nobody():
        from .worker import main

    main(int(sys.argv[1]))
