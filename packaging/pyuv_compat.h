/* What pyuv 1.4.0 (2017) needs to compile, unmodified, on CPython 3.11 to 3.13.
 * Forced into its build with CFLAGS="-include …/pyuv_compat.h"; see the Makefile. */
#ifndef GREENSCOPE_PYUV_COMPAT_H
#define GREENSCOPE_PYUV_COMPAT_H

#include <Python.h>

/* 3.10 made Py_REFCNT an inline function; pyuv assigns to it. */
#undef Py_REFCNT
#define Py_REFCNT(op) (((PyObject *) (op))->ob_refcnt)

/* Gone in 3.11. pyuv's call is a fallback for when no file system encoding is set,
 * which Python 3 always has. */
#define PyUnicode_EncodeUTF8(text, length, errors) PyUnicode_AsEncodedString(unicode, "utf-8", errors)

/* A no-op since 3.7, gone in 3.13. */
#define PyEval_InitThreads() ((void) 0)

#endif
