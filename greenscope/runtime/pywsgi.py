"""``wsgi``, under gevent's name."""

from __future__ import annotations

from greenscope.runtime.wsgi import LoggingLogAdapter, WSGIHandler, WSGIServer

__all__ = ["LoggingLogAdapter", "WSGIHandler", "WSGIServer"]
