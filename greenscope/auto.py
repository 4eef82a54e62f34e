"""``import greenscope.auto`` as the first line of a gevent program: it is recorded, if ``GREENSCOPE=1`` is set.

Without that the import does nothing, so that the line can stay. What keeps it from recording is one line on stderr,
and no reason for the program to fail.
"""

from __future__ import annotations

import os
import sys

from greenscope.errors import GreenscopeError

if os.environ.get("GREENSCOPE", "0") not in {"", "0"}:
    from greenscope.integrations.gevent import install

    try:
        install()
    except GreenscopeError as error:
        sys.stderr.write(f"greenscope: not recording: {error}\n")
