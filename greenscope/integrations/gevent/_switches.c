/* greenlet's tracer: what every switch comes to, in the recording.
 *
 * It is called when the switch is over, by whoever runs now, with whom it left and whom it came to. Who was left has
 * ended, or waits: for the watcher that it started last, in the method that it is in the middle of, or in a function
 * that is known (a sleep of no seconds gives way). Who runs now was made ready by its watcher, by a timeout that is
 * over, or by somebody who said so. Whoever was never heard of is new.
 *
 * What makes ready is not heard of when it happens. What the loop saw it saw at the end of its poll, and so that is
 * when its greenlets were ready.
 */
#include "_gevent.h"

static getter frame_getter;
static void *frame_closure;
static PyObject *str_throw, *greenlet_exit, *str_exception, *str_value;

/* Code of gevent's that waits for what is in no watcher and no object: a sleep that only gives way. */
static struct {
    PyObject *code;
    int reason;
} known[32];
static int knows;

/* know_code(code, reason): who parks with this as its innermost Python code waits for that. */
PyObject *
know_code(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *code;
    int reason;
    if (!PyArg_ParseTuple(args, "O!i:know_code", &PyCode_Type, &code, &reason))
        return NULL;
    if (knows == sizeof known / sizeof *known) {
        PyErr_SetString(PyExc_RuntimeError, "no more code can be known");
        return NULL;
    }
    known[knows].code = Py_NewRef(code);
    known[knows++].reason = reason;
    Py_RETURN_NONE;
}

static int
known_reason(PyFrameObject *frame)
{
    PyObject *code = (PyObject *) PyFrame_GetCode(frame);
    int reason = -1;
    for (int i = 0; i < knows; i++)
        if (known[i].code == code)
            reason = known[i].reason;
    Py_DECREF(code);
    return reason;
}

/* Who waits there waits for something; and, where its callers are to be asked, for what they do. */
static int
reason_of(PyFrameObject *innermost, int otherwise)
{
    int reason = known_reason(innermost), further = reason == GS_WAIT_THREAD ? 6 : 0;
    PyFrameObject *frame = further ? (PyFrameObject *) Py_NewRef(innermost) : NULL, *back;
    while (frame != NULL && further--) {
        int known_so = known_reason(frame);
        if (known_so >= 0)
            reason = known_so;
        back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF(frame);
    return reason >= 0 ? reason : otherwise;
}

static int
wait_of(const Watch *watch)
{
    switch (watch->reason) {
    case GS_WATCH_READ:
        return GS_WAIT_READ;
    case GS_WATCH_WRITE:
        return GS_WAIT_WRITE;
    case GS_WATCH_TIMER:
        return GS_WAIT_TIMER;
    case GS_WATCH_CHILD:
        return GS_WAIT_CHILD;
    case GS_WATCH_SIGNAL:
        return GS_WAIT_SIGNAL;
    default:
        return GS_WAIT_OTHER;
    }
}

/* -- who was left ----------------------------------------------------------------------------- */

/* How a greenlet has ended. gevent's keep what their function raised, and what ended them; others only show it. */
static int
how_ended(PyObject *greenlet, int throws)
{
    if (!PyObject_TypeCheck(greenlet, greenlet_type))
        return throws ? GS_EXIT_RAISED : GS_EXIT_RETURNED;
    PyObject *error = own_attribute(greenlet, str_exception), *value = NULL;
    int how = GS_EXIT_RETURNED;
    if (error != NULL && error != Py_None)
        how = GS_EXIT_RAISED;
    else if (error != NULL && (value = own_attribute(greenlet, str_value)) != NULL &&
             PyObject_TypeCheck(value, (PyTypeObject *) greenlet_exit))
        how = GS_EXIT_KILLED;
    Py_XDECREF(error);
    Py_XDECREF(value);
    return how;
}

/* What it is in the middle of: the resource, and the greenlet that it is up to, where that is known. */
static void
waits_for(Thread *thread, Entry *entry, const Told *told, RingPark *park)
{
    Resource *resource = told->object != NULL ? resource_for(told->object, told->kind, thread) : NULL;
    uint64_t whom = 0;
    park->reason = told->reason;
    if (park->frame != NULL && told->reason == GS_WAIT_EVENT)
        park->reason = reason_of((PyFrameObject *) park->frame, GS_WAIT_EVENT);
    if (resource == NULL)
        return;
    park->resource = resource->number;
    line_join(entry, resource);
    if (told->reason == GS_WAIT_JOIN) {
        const Entry *other = entry_of(told->object);
        if (other != NULL && other->thread == thread)
            whom = other->handle & NUMBER;
        else if (PyObject_TypeCheck(told->object, greenlet_type) && !greenlet_started(told->object))
            whom = GS_RING_NOT_STARTED;
    } else if (told->reason == GS_WAIT_LOCK && resource->held == 1 && resource->holder) {
        ring->acquire(thread->ring, resource->holder, resource->kind, 1, resource->number, 0);
        /* Nobody puts a `with` around a lock that he gave himself as a sign for another to release. */
        if (!resource->signals && (told->enters || resource->holder != entry->handle))
            whom = resource->holder & NUMBER;
    }
    if (whom && whom <= GS_RING_NOT_STARTED)
        park->fd = (int) whom - 1;
}

static void
parks(Thread *thread, Entry *entry)
{
    PyObject *frame = frame_getter(entry->greenlet, frame_closure);
    RingPark park = {.frame = frame, .fd = -1, .reason = GS_WAIT_OTHER, .deadline_ms = deadline_ms(entry)};
    Watch *watch = entry->watch;
    if (frame == NULL || !PyFrame_Check(frame)) {
        PyErr_Clear();
        park.frame = NULL;
    }
    if (watch != NULL) {
        park.reason = wait_of(watch);
        park.resource = watch->number;
        park.watch = watch->reason;
        park.high = watch->reason == GS_WATCH_TIMER ? milliseconds_of(watch->after) : (uint32_t) watch->fd;
        park.fd = watch->fd;
        park.peer = watch->peer;
        park.peer_length = watch->peer_length;
        park.origin = watch->origin;
    } else if (entry->depth > 0) {
        waits_for(thread, entry, &entry->told[entry->depth - 1], &park);
    } else if (park.frame != NULL) {
        park.reason = reason_of((PyFrameObject *) frame, GS_WAIT_OTHER);
    }
    entry->state = PARKED;
    entry->reason = park.reason;
    entry->parked_ns = ring->park(thread->ring, &park);
    Py_XDECREF(frame);
}

static void
left(Thread *thread, PyObject *greenlet, int throws)
{
    Entry *entry = thread->current;
    if (greenlet == thread->hub) {
        if (greenlet_started(greenlet) && !greenlet_active(greenlet))
            thread->hub = NULL; /* destroyed; there may be another */
        return;
    }
    if (entry == NULL || entry->greenlet != greenlet)
        entry = entry_of(greenlet);
    if (entry == NULL)
        return;
    if (greenlet_started(greenlet) && !greenlet_active(greenlet))
        entry_end(entry, how_ended(greenlet, throws));
    else if (entry == thread->current)
        parks(thread, entry);
}

/* -- who runs now ----------------------------------------------------------------------------- */

/* By whom, if the hub switches to it for no watcher of its own. An event may have been set before it parked, and a
 * queue given to; a join ends when somebody does, of several that it waits for perhaps. */
static void
made_ready(const Thread *thread, const Entry *entry, RingRun *run)
{
    const Resource *on = entry->on;
    uint64_t by = 0, at = 0;
    if (on != NULL && on->life == thread->life) {
        by = on->told_by;
        at = on->told_ns;
    }
    if (entry->reason == GS_WAIT_JOIN && at < entry->parked_ns) {
        by = thread->ended_ns >= entry->parked_ns ? thread->ended : 0;
        at = thread->ended_ns;
    }
    if (by == 0)
        return;
    run->ready_ns = at;
    if (by != thread->hub_handle) {
        run->reason = GS_READY_GREENLET;
        run->by = by;
    }
}

static void
comes(Thread *thread, PyObject *greenlet, PyObject *from, int throws)
{
    Entry *entry = entry_of(greenlet);
    if (entry != NULL && entry->thread != thread) { /* which started it, to run here, and may end before it does */
        ring->exit(entry->thread->ring, entry->handle, GS_EXIT_KILLED);
        entry_free(entry);
        entry = NULL;
    }
    if (entry == NULL) {
        if (PyObject_TypeCheck(greenlet, hub_type)) {
            thread->hub = greenlet;
            return;
        }
        entry = entry_new(greenlet, thread,
                          PyObject_TypeCheck(greenlet, greenlet_type) ? GS_SPAWN_GREENLET : GS_SPAWN_RAW, 0);
        if (entry == NULL)
            return;
    }
    RingRun run = {.handle = entry->handle, .reason = -1, .throws = throws};
    Watch *watch = entry->watch, *timeout;
    if (watch != NULL) {
        run.watch = watch->reason;
        run.resource = watch->number;
        run.high = watch->reason == GS_WATCH_TIMER ? milliseconds_of(watch->after) : (uint32_t) watch->fd;
        watch->waits = NULL;
        entry->watch = NULL;
    }
    if (entry->state == FRESH || (entry->state == PARKED && entry->reason != GS_WAIT_YIELD)) {
        run.reason = GS_READY_OTHER;
        if (throws && (timeout = timeout_that_fired(entry)) != NULL) {
            run.reason = GS_READY_TIMEOUT;
            run.by = timeout->timeout;
            run.ready_ns = thread->poll_ns;
            ring->timeout_fire(thread->ring, entry->handle, GS_TIMEOUTS_SCOPE, timeout->timeout);
            watch_drop(timeout);
        } else if (watch != NULL && !throws) {
            run.reason = GS_READY_WATCHER;
            run.by = watch->number;
            run.ready_ns = thread->poll_ns;
        } else if (throws && entry->killer) {
            run.reason = GS_READY_KILL;
            run.by = entry->killer;
            run.ready_ns = entry->killed_ns;
        } else if (!throws && from == thread->hub) {
            made_ready(thread, entry, &run);
        } else if (from != thread->hub) {
            Entry *by = entry_of(from);
            run.reason = by != NULL ? GS_READY_GREENLET : GS_READY_OTHER;
            run.by = by != NULL ? by->handle : 0;
        }
    }
    line_leave(entry);
    entry->killer = 0;
    entry->state = RUNS;
    thread->current = entry;
    ring->run(thread->ring, &run);
}

/* -- the tracer ------------------------------------------------------------------------------- */

PyObject *
switched(PyObject *Py_UNUSED(module), PyObject *args)
{
    Thread *thread = here;
    if (thread == NULL)
        Py_RETURN_NONE;
    PyObject *pair = PyTuple_GET_SIZE(args) == 2 ? PyTuple_GET_ITEM(args, 1) : NULL;
    if (!thread->left && pair != NULL && PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
        PyObject *event = PyTuple_GET_ITEM(args, 0), *from = PyTuple_GET_ITEM(pair, 0), *to = PyTuple_GET_ITEM(pair, 1);
        int collects = PyGC_Disable(); /* which may end a greenlet, and so switch */
        int throws = event == str_throw || (PyUnicode_Check(event) && PyUnicode_Compare(event, str_throw) == 0);
        left(thread, from, throws);
        thread->current = NULL;
        if (to != thread->hub)
            comes(thread, to, from, throws);
        if (collects)
            PyGC_Enable();
    }
    if (thread->before != NULL) {
        PyObject *before = Py_NewRef(thread->before), *done = PyObject_CallObject(before, args);
        if (done == NULL) { /* greenlet would have dropped it */
            PyErr_WriteUnraisable(before);
            if (here == thread)
                Py_CLEAR(thread->before);
        }
        Py_XDECREF(done);
        Py_DECREF(before);
    }
    Py_RETURN_NONE;
}

/* chain(tracer): what was this thread's tracer, and is called after ours; None: there was none. */
PyObject *
chain(PyObject *Py_UNUSED(module), PyObject *before)
{
    if (here != NULL)
        Py_XSETREF(here->before, before == Py_None ? NULL : Py_NewRef(before));
    Py_RETURN_NONE;
}

int
switches_ready(void)
{
    PyObject *module = PyImport_ImportModule("greenlet"), *type, *frame = NULL;
    if (module == NULL)
        return -1;
    greenlet_exit = PyObject_GetAttrString(module, "GreenletExit");
    type = PyObject_GetAttrString(module, "greenlet");
    if (type != NULL && PyType_Check(type))
        frame = PyDict_GetItemString(((PyTypeObject *) type)->tp_dict, "gr_frame"); /* borrowed */
    if (frame != NULL && Py_IS_TYPE(frame, &PyGetSetDescr_Type)) {
        frame_getter = ((PyGetSetDescrObject *) frame)->d_getset->get;
        frame_closure = ((PyGetSetDescrObject *) frame)->d_getset->closure;
    }
    Py_XDECREF(type);
    Py_DECREF(module);
    str_throw = PyUnicode_InternFromString("throw");
    str_exception = PyUnicode_InternFromString("exception");
    str_value = PyUnicode_InternFromString("value");
    if (frame_getter == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_ImportError, "this greenlet does not tell its frames");
    return frame_getter == NULL || greenlet_exit == NULL || str_throw == NULL || str_exception == NULL ||
                   str_value == NULL
               ? -1
               : 0;
}
