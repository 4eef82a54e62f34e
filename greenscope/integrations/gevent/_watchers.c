/* gevent's watchers, and its loop that makes them, as subclasses that say what is watched.
 *
 * A watcher that a greenlet starts in order to wait is known by what it is started with: the waiter's method, and the
 * waiter. Its start is recorded with the park, its stop with the switch back; what is here is only a note of who waits
 * for what. A timer that is started with Timeout's method is a timeout. All others call functions, and are recorded
 * one step at a time.
 *
 * A watcher gets its number when it is first started: a socket has two from the beginning, and mostly uses one.
 */
#include "_gevent.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name; /* the class's, and the loop's method that makes one */
    int reason;       /* Watch */
    size_t offset;    /* of our part */
    PyTypeObject *type;
    PyObject *start, *stop, *close; /* gevent's */
} Kind;

enum { IO, TIMER, SIGNAL, CHILD, ASYNC, IDLE, PREPARE, CHECK, KINDS };

static Kind kinds[KINDS] = {
    [IO] = {.name = "io", .reason = GS_WATCH_READ},
    [TIMER] = {.name = "timer", .reason = GS_WATCH_TIMER},
    [SIGNAL] = {.name = "signal", .reason = GS_WATCH_SIGNAL},
    [CHILD] = {.name = "child", .reason = GS_WATCH_CHILD},
    [ASYNC] = {.name = "async_", .reason = GS_WATCH_ASYNC},
    [IDLE] = {.name = "idle", .reason = GS_WATCH_IDLE},
    [PREPARE] = {.name = "prepare", .reason = GS_WATCH_PREPARE},
    [CHECK] = {.name = "check", .reason = GS_WATCH_CHECK},
};

static PyObject *str_active, *str_pending, *str_pendingcnt;

static inline Watch *
watch_of(const Kind *kind, PyObject *watcher)
{
    return (Watch *) ((char *) watcher + kind->offset);
}

/* gevent's own function, for `self` and the same arguments. */
static PyObject *
call_with(PyObject *function, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *few[12], **all = few, *result;
    size_t given = (size_t) nargs + (names != NULL ? (size_t) PyTuple_GET_SIZE(names) : 0);
    if (given + 1 > sizeof few / sizeof *few && (all = PyMem_Malloc((given + 1) * sizeof *all)) == NULL)
        return PyErr_NoMemory();
    all[0] = self;
    if (given)
        memcpy(all + 1, args, given * sizeof *all);
    result = PyObject_Vectorcall(function, all, (size_t) nargs + 1, names);
    if (all != few)
        PyMem_Free(all);
    return result;
}

/* -- a watcher's life ------------------------------------------------------------------------- */

static void
number(Thread *thread, Watch *watch)
{
    if (watch->fd >= 0 && watch->peer_length == 0 && watch->tries < 2)
        ask_peer(watch);
    if (watch->life == thread->life && watch->number)
        return;
    watch->life = thread->life;
    watch->number = ring->watcher_open(thread->ring, watch->reason, watch->origin, (uint32_t) watch->fd, watch->peer,
                                       watch->peer_length);
}

void
watch_drop(Watch *watch)
{
    Watch **at = watch->times != NULL ? &watch->times->timeouts : NULL;
    while (at != NULL && *at != watch && *at != NULL)
        at = &(*at)->next;
    if (at != NULL && *at == watch)
        *at = watch->next;
    watch->times = NULL;
    watch->next = NULL;
}

Watch *
timeout_that_fired(Entry *entry)
{
    for (Watch *timeout = entry->timeouts; timeout != NULL; timeout = timeout->next) {
        PyObject *active = PyObject_GetAttr(timeout->watcher, str_active),
                 *pending = PyObject_GetAttr(timeout->watcher, str_pending);
        int over = active == Py_False && pending == Py_False;
        PyErr_Clear();
        Py_XDECREF(active);
        Py_XDECREF(pending);
        if (over)
            return timeout;
    }
    return NULL;
}

/* Timeout._on_expiration, of a timeout that is to be raised in `greenlet`. */
static int
is_timeout(PyObject *const *args, Py_ssize_t nargs)
{
    return nargs == 3 && PyMethod_Check(args[0]) && PyMethod_GET_FUNCTION(args[0]) == timeout_expires;
}

static void
times(Thread *thread, Watch *watch, Entry *entry, PyObject *error)
{
    watch_drop(watch);
    int of_socket = PyObject_TypeCheck(error, (PyTypeObject *) PyExc_OSError);
    watch->timeout = ring->timeout_start(thread->ring, of_socket ? GS_TIMEOUTS_SOCKET : GS_TIMEOUTS_SCOPE,
                                         milliseconds_of(watch->after));
    watch->due_ns = ring->now(thread->ring) + milliseconds_of(watch->after) * UINT64_C(1000000);
    watch->times = entry;
    watch->life = thread->life;
    watch->next = entry->timeouts;
    entry->timeouts = watch;
}

static PyObject *
started(const Kind *kind, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *result = call_with(kind->start, self, args, nargs, names);
    Thread *thread = here;
    if (result == NULL || thread == NULL || (thread->left && !thread_goes_on(thread)))
        return result;
    Watch *watch = watch_of(kind, self);
    Entry *entry;
    if (nargs == 2 && PyObject_TypeCheck(args[1], waiter_type)) {
        entry = running(thread);
        if (entry != NULL) {
            number(thread, watch);
            if (entry->watch != NULL)
                entry->watch->waits = NULL;
            if (watch->waits != NULL) /* another one has started it, too, and is woken by it no more */
                watch->waits->watch = NULL;
            entry->watch = watch;
            watch->waits = entry;
        }
    } else if (kind == &kinds[TIMER] && is_timeout(args, nargs)) {
        entry = entry_of(args[1]);
        if (entry != NULL && entry->thread == thread)
            times(thread, watch, entry, args[2]);
    } else {
        number(thread, watch);
        watch->started = 1;
        ring->watcher(thread->ring, GS_KIND_WATCHER_START, watch->reason, watch->number,
                      watch->reason == GS_WATCH_TIMER ? milliseconds_of(watch->after) : (uint32_t) watch->fd);
    }
    return result;
}

/* Where its records go: the thread of the ring that it has a number in; NULL: that is closed, or the parent's. */
static Thread *
thread_of(const Watch *watch)
{
    return here != NULL && !here->left && watch->life == here->life ? here : NULL;
}

/* `over`: and is closed. gevent's own may have raised, which is for the program. */
static void
stops(Watch *watch, int over)
{
    Thread *thread = thread_of(watch);
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    if (watch->waits != NULL) {
        watch->waits->watch = NULL;
        watch->waits = NULL;
    }
    if (watch->times != NULL) {
        watch_drop(watch);
        if (thread != NULL)
            ring->timeout_cancel(thread->ring, GS_TIMEOUTS_SCOPE, watch->timeout);
    }
    if (watch->started) {
        watch->started = 0;
        if (thread != NULL)
            ring->watcher(thread->ring, GS_KIND_WATCHER_STOP, watch->reason, watch->number, (uint32_t) watch->fd);
    }
    if (over && watch->number && thread != NULL)
        ring->watcher(thread->ring, GS_KIND_WATCHER_CLOSE, watch->reason, watch->number, (uint32_t) watch->fd);
    PyErr_Restore(kind, value, trace);
}

static PyObject *
stopped(const Kind *kind, PyObject *self)
{
    PyObject *result = PyObject_CallOneArg(kind->stop, self);
    Watch *watch = watch_of(kind, self);
    if (watch->waits != NULL || watch->times != NULL || watch->started)
        stops(watch, 0);
    return result;
}

static PyObject *
closed(const Kind *kind, PyObject *self)
{
    PyObject *result = PyObject_CallOneArg(kind->close, self);
    Watch *watch = watch_of(kind, self);
    stops(watch, 1);
    watch->number = 0;
    return result;
}

#define METHODS(kind) \
    static PyObject *start_##kind(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names) \
    { \
        return started(&kinds[kind], self, args, nargs, names); \
    } \
    static PyObject *stop_##kind(PyObject *self, PyObject *Py_UNUSED(unused)) \
    { \
        return stopped(&kinds[kind], self); \
    } \
    static PyObject *close_##kind(PyObject *self, PyObject *Py_UNUSED(unused)) \
    { \
        return closed(&kinds[kind], self); \
    } \
    static PyMethodDef methods_##kind[] = { \
        {"start", (PyCFunction) (void (*)(void)) start_##kind, METH_FASTCALL | METH_KEYWORDS, NULL}, \
        {"stop", stop_##kind, METH_NOARGS, NULL}, \
        {"close", close_##kind, METH_NOARGS, NULL}, \
        {NULL, NULL, 0, NULL}, \
    }; \
    static PyObject *make_##kind(PyObject *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *names) \
    { \
        return made(&kinds[kind], loop, args, nargs, names); \
    }

static PyObject *
made(const Kind *kind, PyObject *loop, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *watcher = call_with((PyObject *) kind->type, loop, args, nargs, names);
    if (watcher == NULL)
        return NULL;
    Watch *watch = watch_of(kind, watcher);
    watch->watcher = watcher;
    watch->reason = (char) kind->reason;
    watch->fd = -1;
    if (kind == &kinds[IO] && nargs >= 2) {
        long fd = PyLong_AsLong(args[0]), events = PyLong_AsLong(args[1]);
        watch->fd = (int) fd;
        watch->reason = events == 2 ? GS_WATCH_WRITE : GS_WATCH_READ;
    } else if (kind == &kinds[TIMER] && nargs >= 1) {
        watch->after = PyFloat_AsDouble(args[0]);
    }
    PyErr_Clear();
    return watcher;
}

METHODS(IO)
METHODS(TIMER)
METHODS(SIGNAL)
METHODS(CHILD)
METHODS(ASYNC)
METHODS(IDLE)
METHODS(PREPARE)
METHODS(CHECK)

/* -- classes ---------------------------------------------------------------------------------- */

#define MAKER(kind, name) \
    {name, (PyCFunction) (void (*)(void)) make_##kind, METH_FASTCALL | METH_KEYWORDS, \
     PyDoc_STR("A watcher, as gevent's, that is recorded.")}

static PyMethodDef loop_methods[] = {
    MAKER(IO, "io"),           MAKER(TIMER, "timer"),  MAKER(SIGNAL, "signal"),
    MAKER(CHILD, "child"),     MAKER(ASYNC, "async_"), MAKER(IDLE, "idle"),
    MAKER(PREPARE, "prepare"), MAKER(CHECK, "check"),  {NULL, NULL, 0, NULL},
};

static PyObject *
subclass(PyTypeObject *base, const char *name, PyMethodDef *methods, size_t more)
{
    PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, NULL}};
    PyType_Spec spec = {
        .name = name,
        .basicsize = (int) ((size_t) base->tp_basicsize + more),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };
    return PyType_FromSpecWithBases(&spec, (PyObject *) base);
}

/* The class of a module; a new reference. NULL and an error if it has none, or it is not what is expected. */
static PyTypeObject *
class_in(PyObject *module, const char *name)
{
    PyObject *found = PyObject_GetAttrString(module, name);
    if (found != NULL && !PyType_Check(found)) {
        PyErr_Format(PyExc_TypeError, "gevent's %s is no class", name);
        Py_CLEAR(found);
    }
    return (PyTypeObject *) found;
}

/* loop_class(module): a class of loops whose watchers are recorded; of the module of gevent's libev loop. Once. */
PyObject *
loop_class(PyObject *Py_UNUSED(module), PyObject *libev)
{
    static PyMethodDef *const methods[KINDS] = {methods_IO,    methods_TIMER, methods_SIGNAL,  methods_CHILD,
                                                methods_ASYNC, methods_IDLE,  methods_PREPARE, methods_CHECK};
    static char names[KINDS][64];
    for (int i = 0; i < KINDS; i++) {
        Kind *kind = &kinds[i];
        PyTypeObject *base = class_in(libev, kind->name);
        if (base == NULL)
            return NULL;
        snprintf(names[i], sizeof names[i], "greenscope.integrations.gevent.%s", kind->name);
        kind->offset = (size_t) base->tp_basicsize;
        kind->type = (PyTypeObject *) subclass(base, names[i], methods[i], sizeof(Watch));
        kind->start = PyObject_GetAttrString((PyObject *) base, "start");
        kind->stop = PyObject_GetAttrString((PyObject *) base, "stop");
        kind->close = PyObject_GetAttrString((PyObject *) base, "close");
        Py_DECREF(base);
        if (kind->type == NULL || kind->start == NULL || kind->stop == NULL || kind->close == NULL)
            return NULL;
    }
    PyTypeObject *base = class_in(libev, "loop");
    PyObject *loop = base != NULL ? subclass(base, "greenscope.integrations.gevent.loop", loop_methods, 0) : NULL;
    Py_XDECREF(base);
    return loop;
}

/* -- the poll --------------------------------------------------------------------------------- */

/* poll_begins(): the loop is about to ask the kernel. */
PyObject *
poll_begins(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    Thread *thread = here;
    if (thread != NULL && (!thread->left || thread_goes_on(thread)))
        ring->poll_begin(thread->ring, 1);
    Py_RETURN_NONE;
}

/* poll_ends(loop): the kernel has answered. */
PyObject *
poll_ends(PyObject *Py_UNUSED(module), PyObject *loop)
{
    Thread *thread = here;
    if (thread != NULL && !thread->left) {
        PyObject *pending = PyObject_GetAttr(loop, str_pendingcnt);
        long fired = pending != NULL ? PyLong_AsLong(pending) : 0;
        Py_XDECREF(pending);
        PyErr_Clear();
        thread->poll_ns = ring->poll_end(thread->ring, fired > 0 ? (uint64_t) fired : 0);
    }
    Py_RETURN_NONE;
}

int
watchers_ready(void)
{
    str_active = PyUnicode_InternFromString("active");
    str_pending = PyUnicode_InternFromString("pending");
    str_pendingcnt = PyUnicode_InternFromString("pendingcnt");
    return str_active == NULL || str_pending == NULL || str_pendingcnt == NULL ? -1 : 0;
}
