"""Ends a demo process when whoever started it is gone, however that went."""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["end_with_parent"]


def end_with_parent() -> None:
    """Watch standard input, a pipe from the parent, in a native thread; exit at its end."""

    def watch() -> None:
        while os.read(fd, 4096):
            pass
        os._exit(0)

    fd = sys.stdin.fileno()
    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
