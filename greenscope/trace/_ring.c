/* The ring's writer: puts a hub's events into a mapped file, at a few tens of nanoseconds each.
 *
 * ring_python.py is the same in Python and says what each method means; ring_layout.py says where
 * every byte is, and _ring_layout.h is generated from it. The rules:
 *
 *   - one writer a file, under the GIL; it never waits and never allocates on the event path;
 *   - a record is written first and `head` published after it, with release order, so that a
 *     reader in another process sees whole records below `head`;
 *   - a greenlet's slot is written under a sequence number that is odd meanwhile;
 *   - wrong arguments are our own bugs and raise TypeError; a full section is counted, not raised.
 */
#include "_ring.h"
#include "_ring_steps.h"

#include <structmember.h>

#define METHOD(name) static PyObject *ring_##name(Ring *ring, PyObject *const *args, Py_ssize_t nargs)

/* -- what there is to name -------------------------------------------------------------------- */

static PyObject *
ring_string(Ring *ring, PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "expected str, got %s", Py_TYPE(text)->tp_name);
        return NULL;
    }
    return PyLong_FromUnsignedLong(ring_intern(ring, text));
}

static PyObject *
ring_resource(Ring *ring, PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLong(take_resource(ring));
}

METHOD(site)
{
    uint64_t lasti; /* after the code */
    int plumbing;
    if (nargs != 2 || !PyCode_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "expected a code object and a number");
        return NULL;
    }
    if (numbers(args + 1, 1, 1, &lasti) < 0)
        return NULL;
    UNLESS_DETACHED(ZERO);
    uint32_t site = ring_site_of(ring, (PyCodeObject *) args[0], (int) lasti, &plumbing);
    return PyLong_FromLongLong(plumbing ? -(long long) site : (long long) site);
}

/* -- greenlets -------------------------------------------------------------------------------- */

METHOD(spawn)
{
    NUMBERS(4, ZERO); /* reason, name, numbered, parent */
    return PyLong_FromUnsignedLongLong(
        spawn_at(ring, now_ns(ring), (uint8_t) v[0], (uint32_t) v[1], v[2] != 0, v[3] & ID_MASK, ring_site_here(ring)));
}

METHOD(rename)
{
    NUMBERS(3, NONE); /* handle, name, numbered */
    Slot *slot = slot_of(ring, v[0]);
    if (slot != NULL) {
        slot_begin(slot);
        slot->name = (uint32_t) v[1];
        slot->flags = v[2] ? GS_RING_FLAG_NUMBERED : 0;
        slot_end(slot);
    }
    record(ring, now_ns(ring), v[0], GS_KIND_GREENLET_NAME, 0, (uint16_t) v[2], 0, v[1]);
    Py_RETURN_NONE;
}

METHOD(awaits)
{
    NUMBERS(3, NONE); /* handle, resource, whom */
    awaits(ring, v[0], (uint32_t) v[1], v[2] & ID_MASK);
    Py_RETURN_NONE;
}

METHOD(ready)
{
    NUMBERS(3, NONE); /* handle, reason, by */
    ready_by(ring, v[0], v[1], v[2]);
    Py_RETURN_NONE;
}

METHOD(fire)
{
    NUMBERS(4, NONE); /* handle, watch, resource, high */
    fire(ring, v[0], v[1], v[2], v[3]);
    Py_RETURN_NONE;
}

static inline PyObject *
run(Ring *ring, PyObject *handle_object, uint8_t kind)
{
    UNLESS_DETACHED(NONE);
    uint64_t handle = PyLong_AsUnsignedLongLongMask(handle_object);
    if (handle == UINT64_MAX && PyErr_Occurred())
        return NULL;
    run_at(ring, now_ns(ring), handle, kind);
    publish(ring);
    Py_RETURN_NONE;
}

static PyObject *
ring_switch(Ring *ring, PyObject *handle)
{
    return run(ring, handle, GS_KIND_GREENLET_SWITCH);
}

static PyObject *
ring_throw(Ring *ring, PyObject *handle)
{
    return run(ring, handle, GS_KIND_GREENLET_THROW);
}

/* park, and wait, which begins with the watcher's start: they differ in one record. */
static inline PyObject *
park(Ring *ring, PyObject *const *args, Py_ssize_t nargs, int starts)
{
    uint64_t v[4]; /* reason, resource, fd, deadline_ms; then peer */
    UNLESS_DETACHED(NONE);
    if (nargs != 5 || !PyBytes_Check(args[4])) {
        PyErr_SetString(PyExc_TypeError, "expected four numbers and bytes");
        return NULL;
    }
    if (numbers(args, 4, 4, v) < 0)
        return NULL;
    Waiting waiting = {v[0], v[1], v[2], v[3], PyBytes_AS_STRING(args[4]), PyBytes_GET_SIZE(args[4])};
    Moment here = moment(ring);
    if (starts)
        wait_from(ring, here, &waiting, -1);
    else
        park_from(ring, here.now, &waiting, here.site);
    Py_RETURN_NONE;
}

METHOD(park)
{
    return park(ring, args, nargs, 0);
}

METHOD(wait)
{
    return park(ring, args, nargs, 1);
}

METHOD(park_there)
{
    NUMBERS(5, NONE); /* site, reason, resource, fd, deadline_ms */
    Waiting waiting = {v[1], v[2], v[3], v[4], "", 0};
    park_from(ring, now_ns(ring), &waiting, (uint32_t) v[0]);
    Py_RETURN_NONE;
}

METHOD(give_way)
{
    NUMBERS(2, NONE); /* handle, deadline_ms */
    give_way(ring, moment(ring), v[0], v[1]);
    Py_RETURN_NONE;
}

METHOD(exit)
{
    NUMBERS(2, NONE); /* handle, how */
    exit_at(ring, now_ns(ring), v[0], (int) v[1]);
    Py_RETURN_NONE;
}

/* -- watchers, timeouts, the loop ------------------------------------------------------------- */

METHOD(watcher_open)
{
    uint64_t v[2]; /* watch and origin, fd; then peer */
    UNLESS_DETACHED(ZERO);
    if (nargs != 3 || !PyBytes_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "expected two numbers and bytes");
        return NULL;
    }
    if (numbers(args, 2, 2, v) < 0)
        return NULL;
    uint32_t resource = take_resource(ring);
    size_t length = (size_t) PyBytes_GET_SIZE(args[2]);
    put(ring, now_ns(ring), ring->current, GS_KIND_WATCHER_OPEN, (uint8_t) v[0],
        (uint8_t) (v[0] >> GS_RING_ORIGIN_SHIFT), ring_site_here(ring), pack(resource, v[1]));
    put_text(ring, PyBytes_AS_STRING(args[2]), length);
    publish(ring);
    return PyLong_FromUnsignedLong(resource);
}

#define WATCHER(name, kind) \
    METHOD(name) \
    { \
        NUMBERS(3, NONE); /* watch, resource, high */ \
        record(ring, now_ns(ring), ring->current, kind, (uint8_t) v[0], 0, site_if_taught(ring), pack(v[1], v[2])); \
        Py_RETURN_NONE; \
    }

WATCHER(watcher_start, GS_KIND_WATCHER_START)
WATCHER(watcher_fire, GS_KIND_WATCHER_FIRE)
WATCHER(watcher_stop, GS_KIND_WATCHER_STOP)
WATCHER(watcher_close, GS_KIND_WATCHER_CLOSE)

METHOD(timeout_start)
{
    NUMBERS(2, ZERO); /* reason, milliseconds */
    return PyLong_FromUnsignedLong(timeout_at(ring, (uint8_t) v[0], v[1]));
}

METHOD(timeout_fire)
{
    NUMBERS(3, NONE); /* handle, reason, timeout */
    record(ring, now_ns(ring), v[0], GS_KIND_TIMEOUT_FIRE, (uint8_t) v[1], 0, 0, v[2]);
    Py_RETURN_NONE;
}

METHOD(timeout_cancel)
{
    NUMBERS(2, NONE); /* reason, timeout */
    cancel(ring, (uint8_t) v[0], v[1]);
    Py_RETURN_NONE;
}

METHOD(poll_begin)
{
    NUMBERS(1, NONE); /* blocks */
    record(ring, now_ns(ring), ring->hub, GS_KIND_POLL_BEGIN, 0, (uint16_t) v[0], 0, 0);
    Py_RETURN_NONE;
}

METHOD(poll_end)
{
    NUMBERS(1, NONE); /* fired */
    record(ring, now_ns(ring), ring->hub, GS_KIND_POLL_END, 0, (uint16_t) (v[0] > UINT16_MAX ? UINT16_MAX : v[0]), 0,
           0);
    hear_if_asked(ring);
    Py_RETURN_NONE;
}

METHOD(loop_exit)
{
    NUMBERS(2, NONE); /* handle, how many wait */
    uint64_t now = now_ns(ring), waited_ms = 0;
    const Slot *slot = slot_of(ring, v[0]);
    if (slot != NULL && now > slot->since_ns)
        waited_ms = (now - slot->since_ns) / 1000000;
    record(ring, now, v[0], GS_KIND_LOOP_EXIT, slot != NULL ? slot->reason : 0,
           (uint16_t) (v[1] > UINT16_MAX ? UINT16_MAX : v[1]), slot != NULL ? slot->site : 0,
           pack(slot != NULL ? slot->resource : 0, waited_ms > UINT32_MAX ? UINT32_MAX : waited_ms));
    Py_RETURN_NONE;
}

static PyObject *
ring_detach(Ring *ring, PyObject *Py_UNUSED(unused))
{
    watch_forget(ring);
    ring->base = NULL;
    ring->slot_used = 0; /* no slot is found any more */
    ring->current = ring->hub = 0;
    if (ring->view.obj != NULL)
        PyBuffer_Release(&ring->view);
    Py_RETURN_NONE;
}

/* -- the type --------------------------------------------------------------------------------- */

static int
ring_init(Ring *ring, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"buffer", "internal", "plumbing", "fd", NULL};
    PyObject *buffer, *internal, *plumbing;
    uint64_t needed;
    int fd = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO!O!|i:Ring", names, &buffer, &PyTuple_Type, &internal,
                                     &PyTuple_Type, &plumbing, &fd))
        return -1;
    if (ring->strings != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a ring is initialized once");
        return -1;
    }
    for (int which = 0; which < 2; which++) {
        PyObject *prefixes = which ? plumbing : internal;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(prefixes); i++)
            if (!PyUnicode_Check(PyTuple_GET_ITEM(prefixes, i))) {
                PyErr_Format(PyExc_TypeError, "%s: expected a tuple of str", names[1 + which]);
                return -1;
            }
    }
    if (PyObject_GetBuffer(buffer, &ring->view, PyBUF_WRITABLE) < 0)
        return -1;
    uint8_t *base = ring->view.buf;
    if (ring->view.len < GS_RING_HEADER_SIZE || memcmp(base, GS_RING_MAGIC, 8) != 0) {
        PyErr_SetString(PyExc_ValueError, "the buffer does not begin with a ring's header");
        return -1;
    }
    uint64_t events = number_at(base, GS_HEADER_EVENT_CAPACITY);
    needed = number_at(base, GS_HEADER_EVENT_OFFSET) + events * GS_RING_EVENT_SIZE;
    if (events == 0 || events % GS_RING_CAPACITY_UNIT != 0 || (uint64_t) ring->view.len < needed) {
        PyErr_SetString(PyExc_ValueError, "the buffer is smaller than its header says, or its capacity is odd");
        return -1;
    }
    uint64_t slots = number_at(base, GS_HEADER_SLOT_CAPACITY);
    ring->base = base;
    if (ring_set_sections(ring, fd) < 0) {
        ring->base = NULL;
        return -1;
    }
    ring->slots = (Slot *) (base + ring->slots_at.offset);
    ring->string_used = 4; /* string 0 is empty */
    ring->site_count = 1;  /* site 0 is unknown */
    ring->next_greenlet = 1;
    ring->next_resource = 1;
    ring->detail_wanted = -1;
    ring->fired_head = UINT64_MAX;
    ring->known_size = 256;
    ring->known = PyMem_Calloc(ring->known_size, sizeof *ring->known);
    ring->own = PyMem_Calloc(OWN_CODES, sizeof *ring->own);
    ring->free_slots = PyMem_Calloc(slots ? slots : 1, sizeof *ring->free_slots);
    ring->strings = Py_BuildValue("{si}", "", 0);
    if (ring->known == NULL || ring->own == NULL || ring->free_slots == NULL || ring->strings == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    ring->internal = Py_NewRef(internal);
    ring->plumbing = Py_NewRef(plumbing);
    atomic_store_explicit((_Atomic uint64_t *) (base + GS_HEADER_STRING_USED), ring->string_used, memory_order_release);
    store_u32(ring, GS_HEADER_SITE_COUNT, ring->site_count);
    return 0;
}

static int
ring_traverse(Ring *ring, visitproc visit, void *arg)
{
    Py_VISIT(ring->strings);
    Py_VISIT(ring->idles_in);
    Py_VISIT(ring->internal);
    Py_VISIT(ring->plumbing);
    Py_VISIT(Py_TYPE(ring));
    return 0;
}

static int
ring_clear(Ring *ring)
{
    Py_CLEAR(ring->strings);
    Py_CLEAR(ring->idles_in);
    Py_CLEAR(ring->internal);
    Py_CLEAR(ring->plumbing);
    return 0;
}

static void
ring_dealloc(Ring *ring)
{
    PyTypeObject *type = Py_TYPE(ring);
    PyObject_GC_UnTrack(ring);
    watch_forget(ring);
    ring->base = NULL;
    if (ring->view.obj != NULL)
        PyBuffer_Release(&ring->view);
    for (uint32_t i = 0; ring->known != NULL && i < ring->known_size; i++)
        Py_XDECREF(ring->known[i].code);
    PyMem_Free(ring->known);
    PyMem_Free(ring->own);
    PyMem_Free(ring->free_slots);
    ring_clear(ring);
    type->tp_free(ring);
    Py_DECREF(type);
}

static PyObject *
ring_get_current(Ring *ring, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(ring->current);
}

static PyObject *
ring_get_head(Ring *ring, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(ring->head);
}

static PyObject *
ring_get_clock(Ring *ring, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(ring->clock.test_ns);
}

static int
ring_set_clock(Ring *ring, PyObject *value, void *Py_UNUSED(closure))
{
    unsigned long long clock = value != NULL ? PyLong_AsUnsignedLongLong(value) : 0;
    if (PyErr_Occurred())
        return -1;
    ring->clock = (Clock){.test_ns = clock};
    return 0;
}

#define FAST(name, text) {#name, (PyCFunction) (void (*)(void)) ring_##name, METH_FASTCALL, PyDoc_STR(text)}

static PyMethodDef ring_methods[] = {
    {"string", (PyCFunction) ring_string, METH_O, PyDoc_STR("The id of a text, 0 when there is no room for it.")},
    {"resource", (PyCFunction) ring_resource, METH_NOARGS, PyDoc_STR("The next serial number.")},
    FAST(site, "site(code, lasti): the number of a place in a code object; negative, if it is plumbing."),
    FAST(spawn, "spawn(reason, name, numbered, parent): a greenlet begins; its handle."),
    FAST(rename, "rename(handle, name, numbered): it is called this from here on."),
    FAST(awaits, "awaits(handle, resource, whom): whom it waits for has changed, if it still waits for that."),
    FAST(ready, "ready(handle, reason, by): it can run."),
    {"switch", (PyCFunction) ring_switch, METH_O, PyDoc_STR("switch(handle): the hub is about to switch to it.")},
    {"throw", (PyCFunction) ring_throw, METH_O, PyDoc_STR("throw(handle): the hub is about to raise in it.")},
    FAST(park, "park(reason, resource, fd, deadline_ms, peer): the running greenlet is about to wait."),
    FAST(park_there, "park_there(site, reason, resource, fd, deadline_ms): park, at a line that does not run."),
    FAST(wait, "wait(watch, resource, fd, deadline_ms, peer): watcher_start and park, in one."),
    FAST(give_way, "give_way(handle, deadline_ms): the running greenlet yields: it parks, and is ready at once."),
    FAST(exit, "exit(handle, how): it ended."),
    FAST(watcher_open, "watcher_open(watch, fd, peer): a watcher is made; its resource number."),
    FAST(watcher_start, "watcher_start(watch, resource, high): somebody begins to wait on it."),
    FAST(fire, "fire(handle, watch, resource, high): the loop saw what a watcher watches for; its greenlet is ready."),
    FAST(watcher_fire, "watcher_fire(watch, resource, high): it fired, and the hub will call a function for it."),
    FAST(watcher_stop, "watcher_stop(watch, resource, high): nobody waits on it any more."),
    FAST(watcher_close, "watcher_close(watch, resource, high): the watcher is gone."),
    FAST(watcher_refuse,
         "watcher_refuse(watch, resource, fd, other, peer): what runs may not wait where another does."),
    FAST(timeout_start, "timeout_start(reason, milliseconds): a timeout begins; its number."),
    FAST(timeout_fire, "timeout_fire(handle, reason, timeout): its time is over."),
    FAST(timeout_cancel, "timeout_cancel(reason, timeout): it was stopped in time."),
    FAST(poll_begin, "poll_begin(blocks): the hub asks the kernel."),
    FAST(poll_end, "poll_end(fired): the kernel answered."),
    FAST(loop_exit, "loop_exit(handle, waiting): nothing is left to wake anyone, above all this one."),
    {"span_begin", (PyCFunction) ring_span_begin, METH_O, PyDoc_STR("span_begin(name): its number.")},
    FAST(span_end, "span_end(span, how, error): it is over."),
    FAST(job_put, "job_put(pool, threads, name, about): a function was given to a pool of threads; its number."),
    FAST(job_end, "job_end(job, how, waited_ms): it is over."),
    {"mark", (PyCFunction) ring_mark, METH_O, PyDoc_STR("mark(text): the program left a mark.")},
    {"request_begin", (PyCFunction) ring_request_begin, METH_O, PyDoc_STR("request_begin(text): its number.")},
    FAST(request_end, "request_end(request, status, how=RETURNED, error=''): it was served."),
    FAST(figures, "figures(head, time_ns, handle, most): what became of a greenlet's time since then."),
    FAST(op_begin, "op_begin(op, tls, resource, fd): a socket is called."),
    FAST(op_end, "op_end(op, errno, count, error): the call is over."),
    FAST(acquire, "acquire(handle, what, earlier, resource, left): who holds it, or what runs (0)."),
    FAST(release, "release(what, resource, left): what runs holds it no more."),
    FAST(callback_begin, "callback_begin(watch, resource, name): the hub calls a function."),
    FAST(callback_end, "callback_end(how): the function is over."),
    FAST(set_detail, "set_detail(level): from here on so much is recorded."),
    {"on_stall_over", ring_on_stall_over, METH_NOARGS, PyDoc_STR("The watchdog has seen a stall end.")},
    {"watch", (PyCFunction) ring_watch, METH_O,
     PyDoc_STR("watch(path): the watchdog looks after it, for a hub of this thread; None: there is no file.")},
    {"idles_in", (PyCFunction) ring_idles_in, METH_O,
     PyDoc_STR("idles_in(code): a hub that is no greenlet of ours polls in that code object.")},
    {"detach", (PyCFunction) ring_detach, METH_NOARGS, PyDoc_STR("Write nothing more.")},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef ring_members[] = {
    {"stacks", T_INT, offsetof(Ring, stacks), 0, PyDoc_STR("Whether whole stacks are recorded at parks.")},
    {"detail", T_INT, offsetof(Ring, detail), READONLY, PyDoc_STR("The level: Detail.")},
    {"detail_wanted", T_INT, offsetof(Ring, detail_wanted), 0, PyDoc_STR("The level that is asked for; -1: none.")},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef ring_getset[] = {
    {"current", (getter) ring_get_current, NULL, PyDoc_STR("The handle of what runs."), NULL},
    {"head", (getter) ring_get_head, NULL, PyDoc_STR("How many records were written."), NULL},
    {"clock_ns", (getter) ring_get_clock, (setter) ring_set_clock, PyDoc_STR("A test's clock; 0: the real one."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ring_slots[] = {
    {Py_tp_doc, (void *) PyDoc_STR("Writes one hub's events into a buffer that holds a fresh ring file.")},
    {Py_tp_init, ring_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, ring_dealloc},
    {Py_tp_traverse, ring_traverse},
    {Py_tp_clear, ring_clear},
    {Py_tp_methods, ring_methods},
    {Py_tp_members, ring_members},
    {Py_tp_getset, ring_getset},
    {0, NULL},
};

static PyType_Spec ring_spec = {
    .name = "greenscope.trace._ring.Ring",
    .basicsize = sizeof(Ring),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = ring_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&ring_spec);
    int failed = type == NULL || PyModule_AddObjectRef(module, "Ring", type) < 0;
    ring_interface.type =
        (PyTypeObject *) type; /* kept, with the reference: the capsule lives as long as the process */
    PyObject *capsule = failed ? NULL : PyCapsule_New(&ring_interface, RING_API_CAPSULE, NULL);
    failed = capsule == NULL || PyModule_AddObjectRef(module, "_API", capsule) < 0;
    Py_XDECREF(capsule);
    ring_follow_interface.type = ring_interface.type;
    capsule = failed ? NULL : PyCapsule_New(&ring_follow_interface, RING_FOLLOW_CAPSULE, NULL);
    failed = capsule == NULL || PyModule_AddObjectRef(module, "_FOLLOW", capsule) < 0;
    Py_XDECREF(capsule);
    return failed ? -1 : watchdog_ready();
}

static PyMethodDef module_methods[] = {
    {"watchdog_start", watchdog_start, METH_VARARGS,
     PyDoc_STR("watchdog_start(directory, stall_ns, snapshot_stall_ns, snapshots): the thread and its socket, once. "
               "OSError: there is no thread, or it has no socket.")},
    {"watchdog_stop", watchdog_stop, METH_NOARGS, PyDoc_STR("End the thread, for good: the interpreter ends.")},
    {"watchdog_trigger", watchdog_trigger, METH_O,
     PyDoc_STR("watchdog_trigger(reason): a reason for snapshots, of which one a minute is heard.")},
    {"watchdog_before_fork", watchdog_before_fork, METH_NOARGS,
     PyDoc_STR("For os.register_at_fork: the thread ends, where it would be what os.fork warns of.")},
    {"watchdog_after_fork", watchdog_after_fork, METH_NOARGS,
     PyDoc_STR("For os.register_at_fork: another goes on as soon as os.fork has returned.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, .m_name = "greenscope.trace._ring", .m_doc = PyDoc_STR("The ring's writer in C."),
    .m_size = 0,           .m_methods = module_methods,        .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__ring(void)
{
    return PyModuleDef_Init(&module_def);
}
