/* The entries of the ready queue: what a greenlet parks on, and what is known of the greenlet.
 *
 * State, Wakeable, Waiter and Place of parking.py. They know how to wake; the board, in _parking.c, knows
 * how to park and to switch.
 */
#ifndef GREENSCOPE_PARKING_ENTRIES_H
#define GREENSCOPE_PARKING_ENTRIES_H

#include "_parking.h"

/* -- what is known of a greenlet -------------------------------------------------------------- */

static int
state_init(State *state, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"hub", "board", "handle", NULL};
    PyObject *hub, *board;
    unsigned long long handle;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO!K:State", names, &hub, board_type, &board, &handle))
        return -1;
    Py_XSETREF(state->hub, Py_NewRef(hub));
    Py_XSETREF(state->board, (Board *) Py_NewRef(board));
    state->handle = handle;
    state->timeout_number = 0;
    Py_CLEAR(state->timeouts);
    Py_CLEAR(state->waiting_on);
    Py_CLEAR(state->yielder);
    return 0;
}

static int
state_traverse(State *state, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(state));
    Py_VISIT(state->hub);
    Py_VISIT(state->board);
    Py_VISIT(state->timeouts);
    Py_VISIT(state->waiting_on);
    Py_VISIT(state->yielder);
    return 0;
}

static int
state_clear(State *state)
{
    Py_CLEAR(state->hub);
    Py_CLEAR(state->board);
    Py_CLEAR(state->timeouts);
    Py_CLEAR(state->waiting_on);
    Py_CLEAR(state->yielder);
    return 0;
}

static PyObject *
state_deadline_ms(State *state, PyObject *Py_UNUSED(unused))
{
    uint64_t due;
    return due_ns(state, &due) < 0 ? NULL : PyLong_FromUnsignedLongLong(ms_until(due));
}

#define DEALLOC(name, type) \
    static void name##_dealloc(type *self) \
    { \
        PyTypeObject *class = Py_TYPE(self); \
        PyObject_GC_UnTrack(self); \
        name##_clear(self); \
        class->tp_free(self); \
        Py_DECREF(class); \
    }

DEALLOC(state, State)

#define MEMBER(type, name, doc) {#name, T_OBJECT, offsetof(type, name), 0, PyDoc_STR(doc)}

static PyMemberDef state_members[] = {
    MEMBER(State, hub, "Its hub."),
    {"handle", T_ULONGLONG, offsetof(State, handle), 0, PyDoc_STR("Its number in the recording, with its slot.")},
    {"timeout_number", T_UINT, offsetof(State, timeout_number), 0,
     PyDoc_STR("That of the timeout of the wait that it is in, until it fires; 0: it has none.")},
    MEMBER(State, waiting_on, "What it waits on, or waited on last."),
    MEMBER(State, yielder, "What it parks on in order to yield."),
    {NULL, 0, 0, 0, NULL},
};

/* Made when somebody asks: most greenlets never have a timeout, and whoever parks would look into an empty list. */
static PyObject *
state_get_timeouts(State *state, void *Py_UNUSED(closure))
{
    if (state->timeouts == NULL && (state->timeouts = PyList_New(0)) == NULL)
        return NULL;
    return Py_NewRef(state->timeouts);
}

static PyGetSetDef state_getset[] = {
    {"timeouts", (getter) state_get_timeouts, NULL, PyDoc_STR("Its active timeouts: a list."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef state_methods[] = {
    {"deadline_ms", (PyCFunction) state_deadline_ms, METH_NOARGS,
     PyDoc_STR("Milliseconds until the first of the active timeouts is due, at least 1; 0 if there is none.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot state_slots[] = {
    {Py_tp_doc, (void *) PyDoc_STR("What the runtime knows of one greenlet.")},
    {Py_tp_init, state_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, state_dealloc},
    {Py_tp_traverse, state_traverse},
    {Py_tp_clear, state_clear},
    {Py_tp_members, state_members},
    {Py_tp_getset, state_getset},
    {Py_tp_methods, state_methods},
    {0, NULL},
};

static PyType_Spec state_spec = {
    .name = "greenscope.runtime._parking.State",
    .basicsize = sizeof(State),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = state_slots,
};

/* -- what a greenlet parks on ----------------------------------------------------------------- */

static int
wakeable_init(Wakeable *self, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Py_CLEAR(self->greenlet);
    Py_CLEAR(self->exception);
    self->queued = self->early = self->waits = self->stopped = 0;
    self->counts = 1;
    self->fd = -1;
    self->reason = 0;
    self->resource = 0;
    Py_XSETREF(self->peer, Py_NewRef(no_bytes));
    return 0;
}

static int
wakeable_traverse(Wakeable *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->greenlet);
    Py_VISIT(self->state);
    Py_VISIT(self->exception);
    Py_VISIT(self->descriptor);
    return 0;
}

static int
wakeable_clear(Wakeable *self)
{
    Py_CLEAR(self->greenlet);
    Py_CLEAR(self->state);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->peer);
    Py_CLEAR(self->descriptor);
    return 0;
}

DEALLOC(wakeable, Wakeable)

static int
append_ready(Board *board, PyObject *entry)
{
    if (board->append == NULL)
        return missing("the ready queue");
    PyObject *args[] = {NULL, entry};
    PyObject *done = PyObject_Vectorcall(board->append, args + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The board of whoever is parked; NULL with an error set. */
static Board *
board_of(Wakeable *entry)
{
    if (entry->state != NULL && entry->state->board != NULL)
        return entry->state->board;
    missing("what is known of the greenlet");
    return NULL;
}

/* Have the greenlet's own thread wake it. */
static PyObject *
wake_from_elsewhere(Wakeable *self, Board *board)
{
    PyObject *wake = PyObject_GetAttr((PyObject *) self, str_wake), *done = NULL;
    if (wake != NULL)
        done = PyObject_CallMethod((PyObject *) board, "call_threadsafe", "Oii", wake, ready_other, 0);
    Py_XDECREF(wake);
    Py_XDECREF(done);
    if (done == NULL)
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *
wakeable_wake(Wakeable *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "wake(reason, by)");
        return NULL;
    }
    if (IS_NONE(self->greenlet)) {
        self->early = 1;
        Py_RETURN_FALSE;
    }
    if (self->queued || self->state == NULL)
        Py_RETURN_FALSE;
    Board *board = board_of(self);
    if (board == NULL)
        return NULL;
    if (PyThread_get_thread_ident() != board->thread)
        return wake_from_elsewhere(self, board);
    int reason = (int) PyLong_AsLong(args[0]);
    uint64_t by = PyErr_Occurred() ? 0 : PyLong_AsUnsignedLongLongMask(args[1]);
    if (PyErr_Occurred() || record_ready(board, self->state, reason, by) < 0)
        return NULL;
    self->queued = 1;
    if (append_ready(board, (PyObject *) self) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *
wakeable_call(Wakeable *Py_UNUSED(self), PyObject *Py_UNUSED(unused))
{
    Py_RETURN_NONE;
}

static PyObject *
wakeable_describe(Wakeable *Py_UNUSED(self), PyObject *Py_UNUSED(unused))
{
    return PyUnicode_FromString("something");
}

static PyObject *wakeable_wait(Wakeable *self, PyObject *unused);

static PyMemberDef wakeable_members[] = {
    MEMBER(Wakeable, greenlet, "Who is parked on it."),
    MEMBER(Wakeable, exception, "What is to be raised in it."),
    {"reason", T_INT, offsetof(Wakeable, reason), 0, PyDoc_STR("What for, as a number of Wait.")},
    {"resource", T_LONGLONG, offsetof(Wakeable, resource), 0, PyDoc_STR("Its number in the recording.")},
    {"fd", T_INT, offsetof(Wakeable, fd), 0, PyDoc_STR("The descriptor that is waited for; -1 if it is none.")},
    MEMBER(Wakeable, peer, "What is at the descriptor's other end, for the recording."),
    MEMBER(Wakeable, descriptor, "What the loop knows of the descriptor."),
    {"mask", T_INT, offsetof(Wakeable, mask), 0, PyDoc_STR("What it waits for: 1 to read, 2 to write.")},
    {"queued", T_BOOL, offsetof(Wakeable, queued), 0, PyDoc_STR("Whether it is in the ready queue.")},
    {"counts", T_BOOL, offsetof(Wakeable, counts), 0, PyDoc_STR("Whether a wait on it keeps the loop alive.")},
    {"early", T_BOOL, offsetof(Wakeable, early), 0, PyDoc_STR("Whether it was woken before somebody parked.")},
    {NULL, 0, 0, 0, NULL},
};

static PyObject *
wakeable_get_state(Wakeable *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->state != NULL ? (PyObject *) self->state : Py_None);
}

static int
wakeable_set_state(Wakeable *self, PyObject *state, void *Py_UNUSED(closure))
{
    if (!IS_NONE(state) && !Py_IS_TYPE(state, state_type)) {
        PyErr_Format(PyExc_TypeError, "state: expected a State, not %R", state);
        return -1;
    }
    Py_XSETREF(self->state, IS_NONE(state) ? NULL : (State *) Py_NewRef(state));
    return 0;
}

/* Not a member, which would take any object. */
static PyGetSetDef wakeable_getset[] = {
    {"state", (getter) wakeable_get_state, (setter) wakeable_set_state,
     PyDoc_STR("What is known of whoever is parked on it, or was last."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef wakeable_methods[] = {
    {"wake", (PyCFunction) (void (*)(void)) wakeable_wake, METH_FASTCALL,
     PyDoc_STR("wake(reason, by): make the parked greenlet ready; False if it is, or if nobody is parked.")},
    {"wait", (PyCFunction) wakeable_wait, METH_NOARGS,
     PyDoc_STR("Park until this watcher of a descriptor fires; False if it is another thread's, or closed.")},
    {"call", (PyCFunction) wakeable_call, METH_NOARGS, PyDoc_STR("What the hub does when nobody is parked on it.")},
    {"describe", (PyCFunction) wakeable_describe, METH_NOARGS, PyDoc_STR("What is waited for, in words.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot wakeable_slots[] = {
    {Py_tp_doc, (void *) PyDoc_STR("An entry of the ready queue.")},
    {Py_tp_init, wakeable_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, wakeable_dealloc},
    {Py_tp_traverse, wakeable_traverse},
    {Py_tp_clear, wakeable_clear},
    {Py_tp_members, wakeable_members},
    {Py_tp_getset, wakeable_getset},
    {Py_tp_methods, wakeable_methods},
    {0, NULL},
};

static PyType_Spec wakeable_spec = {
    .name = "greenscope.runtime._parking.Wakeable",
    .basicsize = sizeof(Wakeable),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = wakeable_slots,
};

static int
waiter_init(Waiter *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"reason", "resource", "what", NULL};
    PyObject *what = NULL;
    int reason;
    long long resource = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|LU:Waiter", names, &reason, &resource, &what))
        return -1;
    wakeable_init(&self->base, NULL, NULL);
    self->base.reason = reason;
    self->base.resource = resource;
    Py_XSETREF(self->what, Py_XNewRef(what));
    return 0;
}

static int
waiter_clear(Waiter *self)
{
    Py_CLEAR(self->what);
    return wakeable_clear(&self->base);
}

DEALLOC(waiter, Waiter)

static PyObject *
waiter_describe(Waiter *self, PyObject *Py_UNUSED(unused))
{
    return self->what != NULL ? Py_NewRef(self->what) : PyUnicode_FromString("something");
}

static PyMemberDef waiter_members[] = {
    {"what", T_OBJECT, offsetof(Waiter, what), 0, PyDoc_STR("What is waited for, in words.")},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef waiter_methods[] = {
    {"describe", (PyCFunction) waiter_describe, METH_NOARGS, PyDoc_STR("What is waited for, in words.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot waiter_slots[] = {
    {Py_tp_doc, (void *) PyDoc_STR("A place to park that is neither a descriptor nor a timer.")},
    {Py_tp_init, waiter_init},
    {Py_tp_dealloc, waiter_dealloc},
    {Py_tp_traverse, wakeable_traverse},
    {Py_tp_clear, waiter_clear},
    {Py_tp_members, waiter_members},
    {Py_tp_methods, waiter_methods},
    {0, NULL},
};

static PyType_Spec waiter_spec = {
    .name = "greenscope.runtime._parking.Waiter",
    .basicsize = sizeof(Waiter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = waiter_slots,
};

static int
place_init(Place *self, PyObject *args, PyObject *kwargs)
{
    self->given = 0;
    Py_CLEAR(self->item);
    return waiter_init(&self->base, args, kwargs);
}

static int
place_traverse(Place *self, visitproc visit, void *arg)
{
    Py_VISIT(self->item);
    return wakeable_traverse(&self->base.base, visit, arg);
}

static int
place_clear(Place *self)
{
    Py_CLEAR(self->item);
    return waiter_clear(&self->base);
}

DEALLOC(place, Place)

static PyObject *
place_give(Place *self, PyObject *Py_UNUSED(unused))
{
    Wakeable *entry = &self->base.base;
    self->given = 1;
    if (IS_NONE(entry->greenlet)) { /* it has not parked yet, and will not */
        entry->early = 1;
        Py_RETURN_TRUE;
    }
    Board *board = board_of(entry);
    if (board == NULL)
        return NULL;
    if (board->closed) /* its thread has ended, or it stayed in the parent when this process was forked */
        Py_RETURN_FALSE;
    if (PyThread_get_thread_ident() != board->thread)
        return wake_from_elsewhere(entry, board);
    if (entry->queued)
        Py_RETURN_TRUE;
    uint64_t by = 0;
    if (current_handle(board, &by) < 0 || record_ready(board, entry->state, ready_greenlet, by) < 0)
        return NULL;
    entry->queued = 1;
    if (append_ready(board, (PyObject *) self) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

static PyMemberDef place_members[] = {
    MEMBER(Place, item, "What it is given, if there is something to give."),
    {"given", T_BOOL, offsetof(Place, given), 0, PyDoc_STR("Whether it was given what it waits for.")},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef place_methods[] = {
    {"give", (PyCFunction) place_give, METH_NOARGS, PyDoc_STR("Wake the greenlet, whatever thread it is in.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot place_slots[] = {
    {Py_tp_doc, (void *) PyDoc_STR("One greenlet's place in a line.")},
    {Py_tp_init, place_init},
    {Py_tp_dealloc, place_dealloc},
    {Py_tp_traverse, place_traverse},
    {Py_tp_clear, place_clear},
    {Py_tp_members, place_members},
    {Py_tp_methods, place_methods},
    {0, NULL},
};

static PyType_Spec place_spec = {
    .name = "greenscope.runtime._parking.Place",
    .basicsize = sizeof(Place),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = place_slots,
};

#endif
