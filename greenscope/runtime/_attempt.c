/* One attempt at a non-blocking socket: attempt.py in C.
 *
 * The call takes a few microseconds, or says that it would block. To say so by an exception costs more
 * than to ask the kernel, and happens once a request. And the GIL is kept: a thread that computes would
 * else take it at each call, and hold it for five milliseconds. What is large is left to the socket's own
 * method, which lets go of it. So a call must never wait, which MSG_DONTWAIT sees to: whether a descriptor
 * blocks is shared with every process that has a duplicate of it.
 *
 * What arrives is small, and half of the attempts find nothing, but programs ask for 16 or 64 KiB at a time. So it is
 * received into one buffer and copied from there: to allocate so much, and to give most of it back, costs more, and
 * more again in a process of several threads, as a traced one is. Where it is large it is received in place.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

static PyTypeObject *socket_type; /* _socket.socket, if its descriptor is where we look for it; else NULL */

#define KEEP_GIL_UP_TO 65536

/* Bytes that are copied rather than received where they stay. */
#define COPY_UP_TO 4096

static char received[KEEP_GIL_UP_TO]; /* the GIL's */
static int large;                     /* what was received last was more than is worth a copy, and so may the next be */

static int
socket_fd(PyObject *sock)
{
    return *(int *) ((char *) sock + sizeof(PyObject));
}

/* The C library's own are points of cancellation, which no thread here is: in a process of several threads two locked
 * instructions a call. */
#if defined(__linux__) && defined(SYS_recvfrom) && defined(SYS_sendto)
#define recv_now(fd, to, size, flags)   syscall(SYS_recvfrom, fd, to, size, (flags) | MSG_DONTWAIT, NULL, NULL)
#define send_now(fd, from, size, flags) syscall(SYS_sendto, fd, from, size, (flags) | MSG_DONTWAIT, NULL, 0)
#else
#define recv_now(fd, to, size, flags)   recv(fd, to, size, (flags) | MSG_DONTWAIT)
#define send_now(fd, from, size, flags) send(fd, from, size, (flags) | MSG_DONTWAIT)
#endif

static int
is_plain_socket(PyObject *sock)
{
    return socket_type != NULL && Py_IS_TYPE(sock, socket_type);
}

/* The method itself, for whatever is not the usual case; None instead of BlockingIOError. */
static PyObject *
attempt_method(PyObject *const *args, Py_ssize_t nargs, const char *name)
{
    PyObject *method = PyObject_GetAttrString(args[0], name);
    if (method == NULL)
        return NULL;
    PyObject *got = PyObject_Vectorcall(method, args + 1, (size_t) (nargs - 1), NULL);
    Py_DECREF(method);
    if (got == NULL && PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return got;
}

static PyObject *
attempt_receive(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "receive(socket, bufsize, flags)");
        return NULL;
    }
    if (!is_plain_socket(args[0]) || !PyLong_CheckExact(args[1]) || !PyLong_CheckExact(args[2]))
        return attempt_method(args, nargs, "recv");
    long size = PyLong_AsLong(args[1]), flags = size < 0 ? 0 : PyLong_AsLong(args[2]);
    /* With MSG_TRUNC the kernel tells of more than it wrote, and what it did not write here is another socket's. */
    if (size < 0 || size > KEEP_GIL_UP_TO || flags < INT_MIN || flags > INT_MAX || (flags & MSG_TRUNC) ||
        PyErr_Occurred()) {
        PyErr_Clear();
        return attempt_method(args, nargs, "recv");
    }
    if (size == 0) /* the kernel would say that it would block */
        return PyBytes_FromStringAndSize(NULL, 0);
    PyObject *bytes = NULL;
    if (large && (bytes = PyBytes_FromStringAndSize(NULL, size)) == NULL)
        return NULL;
    ssize_t got;
    do
        got = recv_now(socket_fd(args[0]), bytes ? PyBytes_AS_STRING(bytes) : received, (size_t) size, (int) flags);
    while (got < 0 && errno == EINTR && PyErr_CheckSignals() == 0);
    if (got < 0) {
        int code = errno;
        Py_XDECREF(bytes);
        if (PyErr_Occurred())
            return NULL;
        if (code == EAGAIN || code == EWOULDBLOCK)
            Py_RETURN_NONE;
        errno = code;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    large = got > COPY_UP_TO;
    if (bytes == NULL)
        return PyBytes_FromStringAndSize(received, got);
    if (got != size && _PyBytes_Resize(&bytes, got) < 0)
        return NULL;
    return bytes;
}

static PyObject *
attempt_transmit(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "transmit(socket, data, flags)");
        return NULL;
    }
    if (!is_plain_socket(args[0]) || !PyLong_CheckExact(args[2]))
        return attempt_method(args, nargs, "send");
    long flags = PyLong_AsLong(args[2]);
    if (flags < INT_MIN || flags > INT_MAX || PyErr_Occurred()) {
        PyErr_Clear();
        return attempt_method(args, nargs, "send");
    }
    Py_buffer data;
    if (PyObject_GetBuffer(args[1], &data, PyBUF_SIMPLE) < 0) /* what the method would raise, too */
        return NULL;
    if (data.len > KEEP_GIL_UP_TO) {
        PyBuffer_Release(&data);
        return attempt_method(args, nargs, "send");
    }
    ssize_t sent;
    do
        sent = send_now(socket_fd(args[0]), data.buf, (size_t) data.len, (int) flags);
    while (sent < 0 && errno == EINTR && PyErr_CheckSignals() == 0);
    int code = errno;
    PyBuffer_Release(&data);
    if (sent >= 0)
        return PyLong_FromSsize_t(sent);
    if (PyErr_Occurred())
        return NULL;
    if (code == EAGAIN || code == EWOULDBLOCK)
        Py_RETURN_NONE;
    errno = code;
    return PyErr_SetFromErrno(PyExc_OSError);
}

/* Whether a socket object has its descriptor right after the object's head, as in CPython 3.11 to 3.13. */
static int
find_socket_type(void)
{
    PyObject *module = PyImport_ImportModule("_socket"), *type = NULL, *one = NULL, *fd = NULL;
    if (module != NULL)
        type = PyObject_GetAttrString(module, "socket");
    if (type != NULL && PyType_Check(type))
        one = PyObject_CallFunction(type, "ii", AF_UNIX, SOCK_STREAM);
    if (one != NULL)
        fd = PyObject_CallMethod(one, "fileno", NULL);
    if (fd != NULL && ((PyTypeObject *) type)->tp_basicsize >= (Py_ssize_t) (sizeof(PyObject) + sizeof(int)) &&
        socket_fd(one) == PyLong_AsLong(fd)) {
        PyObject *closed = PyObject_CallMethod(one, "close", NULL);
        if (closed != NULL && socket_fd(one) == -1)
            socket_type = (PyTypeObject *) Py_NewRef(type);
        Py_XDECREF(closed);
    }
    PyErr_Clear();
    Py_XDECREF(module);
    Py_XDECREF(type);
    Py_XDECREF(one);
    Py_XDECREF(fd);
    return 0;
}

static PyMethodDef module_methods[] = {
    {"receive", (PyCFunction) (void (*)(void)) attempt_receive, METH_FASTCALL,
     PyDoc_STR("receive(socket, bufsize, flags): recv of a _socket.socket; None if it would block.")},
    {"transmit", (PyCFunction) (void (*)(void)) attempt_transmit, METH_FASTCALL,
     PyDoc_STR("transmit(socket, data, flags): send of a _socket.socket; None if it would block.")},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *Py_UNUSED(module))
{
    return find_socket_type();
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "greenscope.runtime._attempt",
    .m_doc = PyDoc_STR("One attempt at a non-blocking socket, in C."),
    .m_size = 0,
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__attempt(void)
{
    return PyModuleDef_Init(&module_def);
}
