/* The records that a hub does not need: what the program says itself, and what a detail level adds.
 *
 * Spans, marks, requests; calls of sockets, resources and who holds them, callbacks; and the level. All are
 * of the greenlet that runs. ring_notes.py is the same in Python and says what each method means.
 */
#include "_ring.h"

/* A str argument as a string's id; -1 with an error set if it is something else. */
static int
string_id(Ring *ring, PyObject *text, uint64_t *id)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "expected str, got %s", Py_TYPE(text)->tp_name);
        return -1;
    }
    *id = ring_intern(ring, text);
    return 0;
}

static int
bytes_given(PyObject *text)
{
    if (!PyBytes_Check(text)) {
        PyErr_Format(PyExc_TypeError, "expected bytes, got %s", Py_TYPE(text)->tp_name);
        return 0;
    }
    return 1;
}

/* One record of what runs, with its text. */
static void
record_text(Ring *ring, uint8_t kind, uint8_t reason, uint16_t aux, uint32_t site, uint64_t arg, PyObject *text)
{
    put(ring, now_ns(ring), ring->current, kind, reason, aux, site, arg);
    put_text(ring, PyBytes_AS_STRING(text), (size_t) PyBytes_GET_SIZE(text));
    publish(ring);
}

PyObject *
ring_span_begin(Ring *ring, PyObject *name)
{
    uint64_t id;
    UNLESS_DETACHED(ZERO);
    if (string_id(ring, name, &id) < 0)
        return NULL;
    uint32_t span = take_resource(ring), site = ring_site_here(ring);
    record(ring, now_ns(ring), ring->current, GS_KIND_SPAN_BEGIN, 0, 0, site, pack(span, id));
    return PyLong_FromUnsignedLong(span);
}

NOTE(span_end)
{
    uint64_t v[2], error; /* span, how; then the exception's class */
    UNLESS_DETACHED(NONE);
    if (nargs != 3 || numbers(args, 2, 2, v) < 0 || string_id(ring, args[2], &error) < 0)
        return wrong(nargs, 3);
    record(ring, now_ns(ring), ring->current, GS_KIND_SPAN_END, (uint8_t) v[1], 0, 0, pack(v[0], error));
    Py_RETURN_NONE;
}

PyObject *
ring_mark(Ring *ring, PyObject *text)
{
    UNLESS_DETACHED(NONE);
    if (!bytes_given(text))
        return NULL;
    record_text(ring, GS_KIND_MARK, 0, 0, ring_site_here(ring), 0, text);
    Py_RETURN_NONE;
}

PyObject *
ring_request_begin(Ring *ring, PyObject *text)
{
    UNLESS_DETACHED(ZERO);
    if (!bytes_given(text))
        return NULL;
    uint32_t request = take_resource(ring);
    record_text(ring, GS_KIND_REQUEST_BEGIN, 0, 0, ring_site_here(ring), request, text);
    return PyLong_FromUnsignedLong(request);
}

NOTE(request_end)
{
    uint64_t v[3] = {0, 0, GS_EXIT_RETURNED}, error = 0; /* request, status, how; then the exception's class */
    int usual = nargs == 2;                              /* it returned */
    UNLESS_DETACHED(NONE);
    if ((!usual && nargs != 4) || numbers(args, usual ? 2 : 3, usual ? 2 : 3, v) < 0 ||
        (!usual && string_id(ring, args[3], &error) < 0))
        return wrong(nargs, 4);
    record(ring, now_ns(ring), ring->current, GS_KIND_REQUEST_END, (uint8_t) v[2], (uint16_t) v[1], 0,
           pack(v[0], error));
    Py_RETURN_NONE;
}

NOTE(watcher_refuse)
{
    uint64_t v[4]; /* watch, resource, fd, other; then the peer */
    UNLESS_DETACHED(NONE);
    if (nargs != 5 || numbers(args, 4, 4, v) < 0 || !bytes_given(args[4]))
        return wrong(nargs, 5);
    uint64_t fd_plus_1 = (v[2] + 1) & UINT32_MAX;
    record_text(ring, GS_KIND_WATCHER_REFUSE, (uint8_t) v[0],
                (uint16_t) (fd_plus_1 > UINT16_MAX ? UINT16_MAX : fd_plus_1), ring_site_here(ring),
                pack(v[1], v[3] & ID_MASK), args[4]);
    Py_RETURN_NONE;
}

NOTE(job_put)
{
    uint64_t v[2], name; /* pool, threads; then the function's name, and what it is about */
    UNLESS_DETACHED(ZERO);
    if (nargs != 4 || numbers(args, 2, 2, v) < 0 || !bytes_given(args[3]) || string_id(ring, args[2], &name) < 0)
        return wrong(nargs, 4);
    uint32_t job = take_resource(ring);
    record_text(ring, GS_KIND_JOB_PUT, (uint8_t) (v[0] > UINT8_MAX ? UINT8_MAX : v[0]),
                (uint16_t) (v[1] > UINT16_MAX ? UINT16_MAX : v[1]), ring_site_here(ring), pack(job, name), args[3]);
    return PyLong_FromUnsignedLong(job);
}

NOTE(job_end)
{
    NUMBERS(3, NONE); /* job, how, milliseconds that it waited */
    record(ring, now_ns(ring), ring->current, GS_KIND_JOB_END, (uint8_t) v[1], 0, 0,
           pack(v[0], v[2] > UINT32_MAX ? UINT32_MAX : v[2]));
    Py_RETURN_NONE;
}

NOTE(op_begin)
{
    NUMBERS(4, NONE); /* op, tls, resource, fd */
    record(ring, now_ns(ring), ring->current, GS_KIND_OP_BEGIN, (uint8_t) v[0], v[1] != 0, site_if_taught(ring),
           pack(v[2], v[3]));
    Py_RETURN_NONE;
}

NOTE(op_end)
{
    uint64_t v[3]; /* op, errno, count; then the exception's class */
    UNLESS_DETACHED(NONE);
    if (nargs != 4 || numbers(args, 3, 3, v) < 0 || !bytes_given(args[3]))
        return wrong(nargs, 4);
    record_text(ring, GS_KIND_OP_END, (uint8_t) v[0], (uint16_t) v[1], 0, v[2], args[3]);
    Py_RETURN_NONE;
}

NOTE(acquire)
{
    NUMBERS(5, NONE); /* handle (0: what runs), what, earlier, resource, left */
    record(ring, now_ns(ring), v[0] ? v[0] : ring->current, GS_KIND_RESOURCE_ACQUIRE, (uint8_t) v[1], v[2] != 0,
           v[2] ? 0 : site_if_taught(ring), pack(v[3], v[4]));
    Py_RETURN_NONE;
}

NOTE(release)
{
    NUMBERS(3, NONE); /* what, resource, left */
    record(ring, now_ns(ring), ring->current, GS_KIND_RESOURCE_RELEASE, (uint8_t) v[0], 0, site_if_taught(ring),
           pack(v[1], v[2]));
    Py_RETURN_NONE;
}

NOTE(callback_begin)
{
    uint64_t v[2], name; /* watch, resource; then the function's name */
    UNLESS_DETACHED(NONE);
    if (nargs != 3 || numbers(args, 2, 2, v) < 0 || string_id(ring, args[2], &name) < 0)
        return wrong(nargs, 3);
    record(ring, now_ns(ring), ring->hub, GS_KIND_CALLBACK_BEGIN, (uint8_t) v[0], 0, 0, pack(v[1], name));
    Py_RETURN_NONE;
}

NOTE(callback_end)
{
    NUMBERS(1, NONE); /* how */
    record(ring, now_ns(ring), ring->hub, GS_KIND_CALLBACK_END, (uint8_t) v[0], 0, 0, 0);
    Py_RETURN_NONE;
}

NOTE(set_detail)
{
    NUMBERS(1, NONE); /* level */
    if (v[0] != (uint64_t) ring->detail) {
        record(ring, now_ns(ring), ring->current, GS_KIND_DETAIL, (uint8_t) v[0], (uint16_t) ring->detail, 0, 0);
        ring->detail = (int) (v[0] & 0xFF);
        store_u32(ring, GS_HEADER_DETAIL, (uint32_t) ring->detail);
    }
    Py_RETURN_NONE;
}

static void
hear_detail(Ring *ring, int wanted)
{
    PyObject *module = PyImport_ImportModule("greenscope.trace.levels"), *done = NULL;
    if (module != NULL)
        done = PyObject_CallMethod(module, "hear", "i", wanted);
    if (done == NULL)
        PyErr_WriteUnraisable((PyObject *) ring);
    Py_XDECREF(done);
    Py_XDECREF(module);
}

/* What other threads, which run no Python, have left for this one. */
void
ring_hear(Ring *ring)
{
    int wanted = atomic_exchange_explicit(&ring->detail_wanted, -1, memory_order_relaxed);
    if (wanted >= 0)
        hear_detail(ring, wanted);
    if (atomic_exchange_explicit(&ring->stall_over, 0, memory_order_relaxed)) {
        PyObject *done = PyObject_CallMethod((PyObject *) ring, "on_stall_over", NULL);
        if (done == NULL)
            PyErr_WriteUnraisable((PyObject *) ring);
        Py_XDECREF(done);
    }
}

/* A recorder's own does more. */
PyObject *
ring_on_stall_over(PyObject *Py_UNUSED(ring), PyObject *Py_UNUSED(unused))
{
    Py_RETURN_NONE;
}
