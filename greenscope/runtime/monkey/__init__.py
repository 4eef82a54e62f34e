"""Monkey patching: the standard library's blocking calls become green, in place.

``patch_all()`` as the first line of a program makes the modules it imports later, and those that were
imported before and look names up when they use them, wait in greenlets. The names are gevent's. What cannot
be reached, a module that took an original before (``from socket import socket``), is warned of by name.

``python -m greenscope.runtime.monkey [-m MODULE | SCRIPT] ARGS`` runs a program that knows nothing of it.

Reads in this order: ``saved`` (replace one name, keep the original), ``taken`` (who took originals before),
``locks`` (locks that exist already), ``parts`` (what is replaced in each module), ``everything``.
"""

from greenscope.runtime.monkey.everything import patch_all
from greenscope.runtime.monkey.parts import (
    patch_builtins,
    patch_contextvars,
    patch_dns,
    patch_os,
    patch_queue,
    patch_select,
    patch_selectors,
    patch_signal,
    patch_socket,
    patch_ssl,
    patch_subprocess,
    patch_sys,
    patch_thread,
    patch_time,
)
from greenscope.runtime.monkey.saved import (
    get_original,
    is_anything_patched,
    is_module_patched,
    is_object_patched,
    patch_item,
    patch_module,
    saved,
)
from greenscope.runtime.monkey.taken import MonkeyPatchWarning

__all__ = [
    "MonkeyPatchWarning",
    "get_original",
    "is_anything_patched",
    "is_module_patched",
    "is_object_patched",
    "patch_all",
    "patch_builtins",
    "patch_contextvars",
    "patch_dns",
    "patch_item",
    "patch_module",
    "patch_os",
    "patch_queue",
    "patch_select",
    "patch_selectors",
    "patch_signal",
    "patch_socket",
    "patch_ssl",
    "patch_subprocess",
    "patch_sys",
    "patch_thread",
    "patch_time",
    "saved",
]
