"""greenscope: see what every greenlet of a green service waits for, live and after the fact.

The packages are the data path, left to right: ``runtime`` (the hub and its sockets) →
``trace`` (recorder, ring, reader, analysis, export) → ``web`` and ``cli`` → the frontend.
Nothing on the left imports anything on its right; ``tests/test_layers.py`` holds that.

PYTEST_DONT_REWRITE: there is a plugin for pytest in here, which else warns where this was imported before it began.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
