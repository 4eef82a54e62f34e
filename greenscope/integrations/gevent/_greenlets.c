/* Greenlets by their address, and the threads whose hubs they belong to.
 *
 * The program's greenlets have no place for a number of ours, and their addresses are reused. So each is in a table as
 * long as it lives: out of it when a switch shows that it has ended, or else when it is freed, which a weak reference
 * tells. A ring has one writer at a time because all of this is under the GIL.
 */
#include "_gevent.h"

#include <stddef.h>

_Thread_local Thread *here;

static Thread *threads;
static Entry **places;
static size_t size, count;
static uint32_t lives;

/* A weak reference that knows whom it is about. */
typedef struct {
    PyWeakReference base;
    Entry *entry;
} Ref;

static PyTypeObject *ref_type;
static PyObject *freed_function, *str_parent;

/* -- the table -------------------------------------------------------------------------------- */

static inline size_t
place_of(const PyObject *greenlet, size_t of)
{
    return (size_t) (((uint64_t) (uintptr_t) greenlet * UINT64_C(0x9E3779B97F4A7C15)) >> 24) & (of - 1);
}

Entry *
entry_of(PyObject *greenlet)
{
    Entry *entry = size ? places[place_of(greenlet, size)] : NULL;
    while (entry != NULL && entry->greenlet != greenlet)
        entry = entry->next;
    return entry;
}

static int
table_grow(void)
{
    size_t larger = size ? size * 2 : 256;
    Entry **new = PyMem_Calloc(larger, sizeof *new);
    if (new == NULL)
        return -1;
    for (size_t i = 0; i < size; i++)
        for (Entry *entry = places[i], *next; entry != NULL; entry = next) {
            size_t place = place_of(entry->greenlet, larger);
            next = entry->next;
            entry->next = new[place];
            new[place] = entry;
        }
    PyMem_Free(places);
    places = new;
    size = larger;
    return 0;
}

void
entry_free(Entry *entry)
{
    Entry **at = &places[place_of(entry->greenlet, size)];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    count--;
    line_leave(entry);
    if (entry->watch != NULL)
        entry->watch->waits = NULL;
    while (entry->timeouts != NULL)
        watch_drop(entry->timeouts);
    if (entry->thread->current == entry)
        entry->thread->current = NULL;
    PyObject *weak = entry->weak;
    PyMem_Free(entry);
    if (weak != NULL) {
        ((Ref *) weak)->entry = NULL;
        Py_DECREF(weak);
    }
}

void
entry_end(Entry *entry, int how)
{
    Resource *joined = resource_of(entry->greenlet);
    entry->thread->ended = entry->handle;
    entry->thread->ended_ns = ring->now(entry->thread->ring);
    if (joined != NULL) {
        joined->told_by = entry->handle;
        joined->told_ns = entry->thread->ended_ns;
    }
    ring->exit(entry->thread->ring, entry->handle, how);
    entry_free(entry);
}

/* What the collector, or the last reference, has freed has ended without a switch: it never ran. */
static PyObject *
freed(PyObject *Py_UNUSED(module), PyObject *weak)
{
    Entry *entry = PyObject_TypeCheck(weak, ref_type) ? ((Ref *) weak)->entry : NULL;
    if (entry != NULL)
        entry_end(entry, GS_EXIT_KILLED);
    Py_RETURN_NONE;
}

static PyMethodDef freed_method = {"freed", freed, METH_O, NULL};

/* -- greenlets -------------------------------------------------------------------------------- */

static Entry *
entry_add(PyObject *greenlet, Thread *thread, uint64_t handle)
{
    if (count >= size && table_grow() < 0)
        return NULL;
    Entry *entry = PyMem_Calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    PyObject *weak = PyObject_CallFunctionObjArgs((PyObject *) ref_type, greenlet, freed_function, NULL);
    if (weak == NULL) { /* nobody would say when its address is another's */
        PyErr_Clear();
        PyMem_Free(entry);
        return NULL;
    }
    ((Ref *) weak)->entry = entry;
    size_t place = place_of(greenlet, size);
    *entry = (Entry){.next = places[place], .greenlet = greenlet, .weak = weak, .thread = thread, .handle = handle};
    places[place] = entry;
    count++;
    return entry;
}

Entry *
entry_new(PyObject *greenlet, Thread *thread, int how, int here)
{
    int numbered;
    uint32_t name = name_of(greenlet, thread, &numbered);
    return entry_add(greenlet, thread,
                     ring->spawn(thread->ring, how, name, numbered, ring->current(thread->ring), here));
}

Entry *
running(Thread *thread)
{
    PyObject *me = greenlet_current();
    Entry *entry = thread->current;
    if (me == NULL) {
        PyErr_Clear();
        return NULL;
    }
    if (entry == NULL || entry->greenlet != me)
        entry = me == thread->hub ? NULL : entry_of(me);
    Py_DECREF(me);
    return entry;
}

uint64_t
deadline_ms(Entry *entry)
{
    uint64_t due = 0, now;
    for (Watch *timeout = entry->timeouts; timeout != NULL; timeout = timeout->next)
        if (due == 0 || timeout->due_ns < due)
            due = timeout->due_ns;
    if (due == 0)
        return 0;
    now = ring->now(entry->thread->ring);
    return due > now ? (due - now + 999999) / 1000000 : 1;
}

/* What gevent calls when a greenlet is started, to run soon. */
PyObject *
spawned(PyObject *Py_UNUSED(module), PyObject *greenlet)
{
    Thread *thread = here;
    if (thread == NULL || (thread->left && !thread_goes_on(thread)))
        Py_RETURN_NONE;
    Entry *entry = entry_of(greenlet);
    if (entry == NULL)
        entry = entry_new(greenlet, thread, GS_SPAWN_GREENLET, 1);
    if (entry != NULL && entry->state == FRESH && !thread->later) {
        entry->state = READY;
        ring->ready(thread->ring, entry->handle, GS_READY_SPAWN, ring->current(thread->ring));
    }
    Py_RETURN_NONE;
}

static uint64_t
lookup(PyObject *greenlet, uint32_t *hub)
{
    Entry *entry = entry_of(greenlet);
    if (entry != NULL) {
        *hub = entry->thread->number;
        return entry->handle;
    }
    for (Thread *thread = threads; thread != NULL; thread = thread->next)
        if (thread->hub == greenlet) {
            *hub = thread->number;
            return thread->hub_handle;
        }
    return 0;
}

/* handle_of(greenlet): its handle in its ring; 0: it was never heard of. */
PyObject *
handle_of(PyObject *Py_UNUSED(module), PyObject *greenlet)
{
    uint32_t hub;
    return PyLong_FromUnsignedLongLong(lookup(greenlet, &hub));
}

/* left_by(): whom the main greenlet's wait comes down to, a handle, and how many wait; None if it waits for the end of
 * everything (Hub.join), which is no wait of its own. */
PyObject *
left_by(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    Thread *thread = here;
    Entry *entry = thread != NULL && !thread->left ? entry_of(thread->main) : NULL, *next = entry;
    unsigned int waiting = 0, steps = 0;
    if (entry == NULL || entry->state != PARKED || (entry->reason == GS_WAIT_JOIN && entry->depth == 0))
        Py_RETURN_NONE;
    /* From one that waits for the end of another to that one; not for ever, for they may wait for one another. */
    while (next != NULL && ++steps < 1000) {
        entry = next;
        next = entry->reason == GS_WAIT_JOIN && entry->on != NULL ? entry_of(entry->on->object) : NULL;
        if (next != NULL && next->state != PARKED)
            next = NULL;
    }
    for (size_t i = 0; i < size; i++)
        for (Entry *one = places[i]; one != NULL; one = one->next)
            waiting += one->thread == thread && one->state == PARKED;
    return Py_BuildValue("KI", (unsigned long long) entry->handle, waiting);
}

/* -- threads ---------------------------------------------------------------------------------- */

static void
thread_forget(Thread *thread)
{
    for (size_t i = 0; i < size; i++)
        for (Entry *entry = places[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            if (entry->thread == thread)
                entry_free(entry);
        }
    thread->current = NULL;
    thread->hub = NULL;
    thread->hub_handle = thread->ended = thread->poll_ns = 0;
    Py_CLEAR(thread->ring);
}

/* begin(recorder, number): this thread's hub, of that number, writes there from now on. */
PyObject *
thread_begin(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *recorder, *name;
    unsigned int number;
    if (!PyArg_ParseTuple(args, "O!I:begin", ring->type, &recorder, &number))
        return NULL;
    PyObject *me = greenlet_current(), *main = Py_XNewRef(me);
    if (me == NULL)
        return NULL;
    for (PyObject *parent; (parent = attribute(main, str_parent)) != NULL && parent != Py_None;) {
        Py_DECREF(main);
        main = parent;
    }
    Thread *thread = here;
    if (thread == NULL) {
        thread = PyMem_Calloc(1, sizeof *thread);
        if (thread == NULL) {
            Py_DECREF(me);
            Py_DECREF(main);
            return PyErr_NoMemory();
        }
        thread->next = threads;
        threads = thread;
        here = thread;
    } else {
        thread_forget(thread);
    }
    thread->left = 0;
    thread->number = number;
    thread->life = ++lives;
    thread->ring = Py_NewRef(recorder);
    thread->main = main;
    name = PyUnicode_FromString("hub");
    thread->hub_handle = ring->spawn(recorder, GS_SPAWN_HUB, name ? ring->string(recorder, name) : 0, 0, 0, 0);
    Py_XSETREF(name, PyUnicode_FromString("main"));
    Entry *entry =
        entry_add(main, thread, ring->spawn(recorder, GS_SPAWN_MAIN, name ? ring->string(recorder, name) : 0, 0, 0, 0));
    Py_XDECREF(name);
    if (PyObject_TypeCheck(me, hub_type))
        thread->hub = me;
    else if (me != main)
        entry = entry_new(me, thread, PyObject_TypeCheck(me, greenlet_type) ? GS_SPAWN_GREENLET : GS_SPAWN_RAW, 0);
    if (thread->hub == NULL && entry != NULL) {
        entry->state = RUNS;
        thread->current = entry;
        ring->run(recorder, &(RingRun){.handle = entry->handle, .reason = -1});
    }
    Py_DECREF(me);
    Py_DECREF(main);
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* end(): this thread's hub is gone; the tracer that was there before ours, or None. */
PyObject *
thread_end(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    Thread *thread = here, **at = &threads;
    if (thread == NULL)
        Py_RETURN_NONE;
    PyObject *before = thread->before != NULL ? thread->before : Py_NewRef(Py_None);
    here = NULL;
    while (*at != thread)
        at = &(*at)->next;
    *at = thread->next;
    thread_forget(thread);
    PyMem_Free(thread);
    return before;
}

/* left(): this process is a fork; what other threads had is the parent's, and this thread's ring is, too. */
PyObject *
thread_left(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    for (Thread *thread = threads; thread != NULL; thread = thread->next) {
        thread_forget(thread);
        thread->left = 1;
    }
    Py_RETURN_NONE;
}

static PyObject *reopen;

/* on_fork(function): what opens a ring for this thread in a process that is a fork. */
PyObject *
on_fork(PyObject *Py_UNUSED(module), PyObject *function)
{
    Py_XSETREF(reopen, Py_NewRef(function));
    Py_RETURN_NONE;
}

/* A fork spawns, waits or polls, and so does not only become another program: it gets a ring of its own. */
int
thread_goes_on(Thread *thread)
{
    PyObject *done = reopen != NULL ? PyObject_CallNoArgs(reopen) : NULL;
    if (done == NULL && PyErr_Occurred()) { /* once is enough */
        PyErr_WriteUnraisable(reopen);
        Py_CLEAR(reopen);
    }
    Py_XDECREF(done);
    return !thread->left;
}

/* -- the end of the module -------------------------------------------------------------------- */

static PyType_Slot ref_slots[] = {{0, NULL}};
static PyType_Spec ref_spec = {
    .name = "greenscope.integrations.gevent._gevent.Ref",
    .basicsize = sizeof(Ref),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = ref_slots,
};

int
greenlets_ready(PyObject *module)
{
    if ((str_parent = PyUnicode_InternFromString("parent")) == NULL || names_ready() < 0)
        return -1;
    ref_type = (PyTypeObject *) PyType_FromSpecWithBases(&ref_spec, (PyObject *) &_PyWeakref_RefType);
    freed_function = PyCFunction_New(&freed_method, module);
    if (ref_type == NULL || freed_function == NULL)
        return -1;
    ring->know(lookup);
    return 0;
}
