/* The hot half of a wait: parking, waking, and switching to whoever is ready.
 *
 * parking.py is the same in Python and says what each thing is for; hub.py is the story that they are
 * the steps of. What is here is here because a server does it for every request: a park, a switch to
 * the hub, the loop's news, a switch back. Everything that is rare is a method call into Python.
 *
 *   - No Python code runs between a check and the change that follows it, so no signal handler and no
 *     other thread can come between.
 *   - The recorder is called as Python would call it, so any recorder will do; when nothing is
 *     recorded it is not called at all.
 *   - Errors are raised by the Python methods named `refuse…`, which know the words.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stddef.h>
#include <time.h>

/* greenlet's C interface is a capsule with an array of functions. Its header is not where a build can
 * count on finding it, so the three that are used are declared here (greenlet.h of greenlet 3). */
enum { GREENLET_GET_CURRENT = 4, GREENLET_SWITCH = 6 };
static void **greenlet_api;
#define greenlet_current() (((PyObject * (*)(void) ) greenlet_api[GREENLET_GET_CURRENT])())
#define greenlet_switch(target, args) \
    (((PyObject * (*)(PyObject *, PyObject *, PyObject *) ) greenlet_api[GREENLET_SWITCH])(target, args, NULL))

#define IS_NONE(object) ((object) == NULL || (PyObject *) (object) == Py_None)

static PyObject *str_state, *str_state_of, *str_due, *str_call_threadsafe, *str_wake, *str_arm, *str_refuse,
    *str_refuse_switch, *str_special, *str_several, *str_current, *str_appendleft;
static PyObject *zero, *minus_one, *no_bytes;
static PyTypeObject *state_type, *wakeable_type, *waiter_type, *place_type, *board_type, *armed_type;

/* The numbers in trace/events.py, handed over by parking.py's twin: Wait.YIELD, Ready.YIELD, Ready.OTHER. */
static PyObject *wait_yield, *ready_yield, *ready_other, *ready_greenlet;

typedef struct {
    PyObject_HEAD
    PyObject *hub;
    PyObject *handle;
    PyObject *timeouts; /* list */
    PyObject *waiting_on;
    PyObject *yielder;
    struct Board *board;
} State;

typedef struct {
    PyObject_HEAD
    PyObject *greenlet;
    State *state;
    PyObject *exception;
    PyObject *reason;
    PyObject *resource;
    PyObject *fd;
    PyObject *peer;
    PyObject *descriptor;
    int mask;
    char queued;
    char counts;
    char early;
} Wakeable;

typedef struct {
    Wakeable base;
    PyObject *what;
} Waiter;

typedef struct {
    Waiter base;
    PyObject *item;
    char given;
} Place;

typedef struct Board {
    PyObject_HEAD
    PyObject *hub;
    PyObject *ready; /* deque */
    PyObject *recorder;
    PyObject *append;
    PyObject *popleft;
    PyObject *record_wait;
    PyObject *record_park;
    PyObject *record_ready;
    PyObject *record_switch;
    PyObject *record_fire;
    PyObject *record_stop;
    Py_ssize_t active;
    unsigned long thread;
    char closed;
} Board;

typedef struct {
    PyObject_HEAD
    Board *board;
    PyObject *reader;
    PyObject *writer;
    PyObject *others; /* list */
    int armed;
} Armed;

/* An attribute that was deleted, or never set: an error in Python too. -1. */
static int
missing(const char *what)
{
    PyErr_Format(PyExc_AttributeError, "%s is not there: it was deleted, or __init__ was not called", what);
    return -1;
}

/* -- recording -------------------------------------------------------------------------------- */

#define RECORD(function, ...) \
    ((function) == NULL ? 0 \
                        : record(function, (PyObject *[]){NULL, __VA_ARGS__}, \
                                 sizeof((PyObject *[]){__VA_ARGS__}) / sizeof(PyObject *)))

static int
record(PyObject *function, PyObject **args, size_t count)
{
    for (size_t i = 1; i <= count; i++)
        if (args[i] == NULL)
            return missing("a record's number");
    PyObject *done = PyObject_Vectorcall(function, args + 1, count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Milliseconds until the first of the greenlet's timeouts is due, at least 1; 0 if it has none. */
static PyObject *
deadline_ms(State *state)
{
    if (state->timeouts == NULL || !PyList_CheckExact(state->timeouts) || PyList_GET_SIZE(state->timeouts) == 0)
        return Py_NewRef(zero);
    PyObject *timeouts = Py_NewRef(state->timeouts);
    double first = 0.0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(timeouts); i++) {
        PyObject *timeout = Py_NewRef(PyList_GET_ITEM(timeouts, i)), *due = PyObject_GetAttr(timeout, str_due);
        Py_DECREF(timeout);
        if (due == NULL) {
            Py_DECREF(timeouts);
            return NULL;
        }
        double seconds = PyFloat_AsDouble(due);
        Py_DECREF(due);
        if (seconds == -1.0 && PyErr_Occurred()) {
            Py_DECREF(timeouts);
            return NULL;
        }
        if (i == 0 || seconds < first)
            first = seconds;
    }
    Py_DECREF(timeouts);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double left = (first - (double) now.tv_sec - (double) now.tv_nsec * 1e-9) * 1000.0 + 0.999;
    return PyLong_FromDouble(left < 1.0 ? 1.0 : left);
}

/* -- what is known of a greenlet -------------------------------------------------------------- */

static int
state_init(State *state, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"hub", "board", "handle", NULL};
    PyObject *hub, *board, *handle;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO!O:State", names, &hub, board_type, &board, &handle))
        return -1;
    PyObject *timeouts = PyList_New(0);
    if (timeouts == NULL)
        return -1;
    Py_XSETREF(state->hub, Py_NewRef(hub));
    Py_XSETREF(state->board, (Board *) Py_NewRef(board));
    Py_XSETREF(state->handle, Py_NewRef(handle));
    Py_XSETREF(state->timeouts, timeouts);
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
    Py_VISIT(state->handle);
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
    Py_CLEAR(state->handle);
    Py_CLEAR(state->timeouts);
    Py_CLEAR(state->waiting_on);
    Py_CLEAR(state->yielder);
    return 0;
}

static PyObject *
state_deadline_ms(State *state, PyObject *Py_UNUSED(unused))
{
    return deadline_ms(state);
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
    MEMBER(State, handle, "Its number in the recording, with its slot."),
    MEMBER(State, timeouts, "Its active timeouts."),
    MEMBER(State, waiting_on, "What it waits on, or waited on last."),
    MEMBER(State, yielder, "What it parks on in order to yield."),
    {NULL, 0, 0, 0, NULL},
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
    self->queued = self->early = 0;
    self->counts = 1;
    Py_XSETREF(self->fd, Py_NewRef(minus_one));
    Py_XSETREF(self->peer, Py_NewRef(no_bytes));
    Py_XSETREF(self->reason, Py_NewRef(zero));
    Py_XSETREF(self->resource, Py_NewRef(zero));
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
    Py_CLEAR(self->reason);
    Py_CLEAR(self->resource);
    Py_CLEAR(self->fd);
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
        done = PyObject_CallMethodObjArgs((PyObject *) board, str_call_threadsafe, wake, ready_other, zero, NULL);
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
    if (RECORD(board->record_ready, self->state->handle, args[0], args[1]) < 0)
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
    MEMBER(Wakeable, reason, "What for, as a number of Wait."),
    MEMBER(Wakeable, resource, "Its number in the recording."),
    MEMBER(Wakeable, fd, "The descriptor that is waited for; -1 if it is none."),
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
    PyObject *reason, *resource = zero, *what = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OU:Waiter", names, &reason, &resource, &what))
        return -1;
    wakeable_init(&self->base, NULL, NULL);
    Py_XSETREF(self->base.reason, Py_NewRef(reason));
    Py_XSETREF(self->base.resource, Py_NewRef(resource));
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
    if (board->record_ready != NULL) {
        PyObject *by = PyObject_GetAttr(board->recorder ? board->recorder : Py_None, str_current);
        int recorded = by == NULL ? -1 : RECORD(board->record_ready, entry->state->handle, ready_greenlet, by);
        Py_XDECREF(by);
        if (recorded < 0)
            return NULL;
    }
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

/* -- the board: who parks, who is ready ------------------------------------------------------- */

static int
board_init(Board *board, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *ready, *recorder;
    int recording;
    if (!PyArg_ParseTuple(args, "OOp:Board", &ready, &recorder, &recording))
        return -1;
    board->active = 0;
    board->closed = 0;
    board->thread = PyThread_get_thread_ident();
    Py_XSETREF(board->ready, Py_NewRef(ready));
    Py_XSETREF(board->recorder, Py_NewRef(recorder));
    struct {
        PyObject **place, *of;
        const char *name;
    } bound[] = {
        {&board->append, ready, "append"},
        {&board->popleft, ready, "popleft"},
        {&board->record_wait, recording ? recorder : NULL, "wait"},
        {&board->record_park, recording ? recorder : NULL, "park"},
        {&board->record_ready, recording ? recorder : NULL, "ready"},
        {&board->record_switch, recording ? recorder : NULL, "switch"},
        {&board->record_fire, recording ? recorder : NULL, "fire"},
        {&board->record_stop, recording ? recorder : NULL, "watcher_stop"},
    };
    for (size_t i = 0; i < sizeof bound / sizeof *bound; i++) {
        if (bound[i].of == NULL)
            continue;
        PyObject *method = PyObject_GetAttrString(bound[i].of, bound[i].name);
        if (method == NULL)
            return -1;
        Py_XSETREF(*bound[i].place, method);
    }
    return 0;
}

static int
board_traverse(Board *board, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(board));
    Py_VISIT(board->hub);
    Py_VISIT(board->ready);
    Py_VISIT(board->recorder);
    Py_VISIT(board->append);
    Py_VISIT(board->popleft);
    Py_VISIT(board->record_wait);
    Py_VISIT(board->record_park);
    Py_VISIT(board->record_ready);
    Py_VISIT(board->record_switch);
    Py_VISIT(board->record_fire);
    Py_VISIT(board->record_stop);
    return 0;
}

static int
board_clear(Board *board)
{
    Py_CLEAR(board->hub);
    Py_CLEAR(board->ready);
    Py_CLEAR(board->recorder);
    Py_CLEAR(board->append);
    Py_CLEAR(board->popleft);
    Py_CLEAR(board->record_wait);
    Py_CLEAR(board->record_park);
    Py_CLEAR(board->record_ready);
    Py_CLEAR(board->record_switch);
    Py_CLEAR(board->record_fire);
    Py_CLEAR(board->record_stop);
    return 0;
}

DEALLOC(board, Board)

/* The current greenlet (a new reference) and what is known of it (another). */
static PyObject *
current_greenlet(Board *board, State **state)
{
    PyObject *me = greenlet_current();
    if (me == NULL)
        return NULL;
    PyObject *known = PyObject_GetAttr(me, str_state);
    int foreign = known != NULL && Py_IS_TYPE(known, state_type) && ((State *) known)->hub != board->hub;
    if (foreign || (known == NULL && PyErr_ExceptionMatches(PyExc_AttributeError))) {
        Py_CLEAR(known); /* that of a hub which was destroyed, where nobody would be woken */
        PyErr_Clear();
        if (IS_NONE(board->hub))
            missing("the hub");
        else
            known = PyObject_CallMethodOneArg(board->hub, str_state_of, me);
    }
    if (known != NULL && !Py_IS_TYPE(known, state_type)) {
        PyErr_Format(PyExc_TypeError, "what is known of a greenlet is a State, not %R", known);
        Py_CLEAR(known);
    }
    if (known == NULL) {
        Py_DECREF(me);
        return NULL;
    }
    *state = (State *) known;
    return me;
}

/* Switch to the hub until it switches back with `entry`. Takes the references of `me` and `state`. */
static PyObject *
switch_to_hub(Board *board, Wakeable *entry, PyObject *me, State *state)
{
    PyObject *hub = board->hub, *back = NULL;
    Py_XINCREF(hub); /* `destroy` may take it away in the meantime */
    if (IS_NONE(hub))
        missing("the hub");
    else
        back = greenlet_switch(hub, NULL);
    Py_CLEAR(entry->greenlet);
    if (back != NULL && back != (PyObject *) entry) {
        Py_DECREF(back);
        back = PyObject_CallMethodObjArgs(hub, str_refuse_switch, me, entry, NULL);
    }
    Py_XDECREF(hub);
    Py_DECREF(me);
    Py_DECREF(state);
    if (back == NULL)
        return NULL;
    Py_DECREF(back);
    Py_RETURN_NONE;
}

static void
park_on(Wakeable *entry, PyObject *me, State *state)
{
    Py_XSETREF(entry->greenlet, Py_NewRef(me));
    Py_XSETREF(entry->state, (State *) Py_NewRef(state));
    Py_XSETREF(state->waiting_on, Py_NewRef(entry));
}

/* Have the kernel watch for what the watcher wants. That is Python, the first time, so a signal's handler may
 * have closed the watcher when it is done: what it has now is asked again, and refuses. */
static int
arm(Wakeable *entry)
{
    for (int same = 0; !same;) {
        PyObject *descriptor = Py_NewRef(entry->descriptor != NULL ? entry->descriptor : Py_None);
        PyObject *mask = NULL, *done = NULL;
        int told = PyObject_TypeCheck(descriptor, armed_type) && !(entry->mask & ~((Armed *) descriptor)->armed);
        if (!told && (mask = PyLong_FromLong(entry->mask)) != NULL)
            done = PyObject_CallMethodOneArg(descriptor, str_arm, mask);
        same = told || descriptor == entry->descriptor;
        Py_DECREF(descriptor);
        Py_XDECREF(mask);
        Py_XDECREF(done);
        if (!told && done == NULL)
            return -1;
    }
    return 0;
}

static PyObject *
board_wait_io(Board *board, PyObject *object)
{
    Wakeable *entry = (Wakeable *) object;
    State *state = NULL;
    if (!PyObject_TypeCheck(object, wakeable_type)) {
        PyErr_Format(PyExc_TypeError, "cannot wait on %R: it is not a watcher of a descriptor", object);
        return NULL;
    }
    PyObject *me = current_greenlet(board, &state);
    if (me == NULL)
        return NULL;
    if (!IS_NONE(entry->greenlet)) {
        PyObject *done = PyObject_CallMethodOneArg(board->hub, str_refuse, object);
        Py_XDECREF(done);
        goto failed;
    }
    if (arm(entry) < 0)
        goto failed;
    Py_INCREF(entry); /* whoever closes it meanwhile does not free it */
    char counts = entry->counts;
    park_on(entry, me, state);
    board->active += counts;
    PyObject *back = NULL, *deadline = board->record_wait == NULL ? Py_NewRef(zero) : deadline_ms(state);
    if (deadline != NULL &&
        RECORD(board->record_wait, entry->reason, entry->resource, entry->fd, deadline, entry->peer) == 0) {
        back = switch_to_hub(board, entry, me, state);
    } else {
        Py_CLEAR(entry->greenlet);
        Py_DECREF(me);
        Py_DECREF(state);
    }
    Py_XDECREF(deadline);
    board->active -= counts;
    if (board->record_stop != NULL) {
        PyObject *kind, *value, *trace;
        PyErr_Fetch(&kind, &value, &trace);
        if (RECORD(board->record_stop, entry->reason, entry->resource, entry->fd) == 0) {
            PyErr_Restore(kind, value, trace);
        } else { /* the newer error stays, as that of a `finally` does: it may be Ctrl-C */
            Py_CLEAR(back);
            Py_XDECREF(kind);
            Py_XDECREF(value);
            Py_XDECREF(trace);
        }
    }
    Py_DECREF(entry);
    return back;
failed:
    Py_DECREF(me);
    Py_DECREF(state);
    return NULL;
}

static PyObject *
board_park(Board *board, PyObject *object)
{
    Wakeable *entry = (Wakeable *) object;
    State *state = NULL;
    if (!PyObject_TypeCheck(object, wakeable_type)) {
        PyErr_Format(PyExc_TypeError, "cannot park on %R: it is not a waiter", object);
        return NULL;
    }
    if (entry->early)
        Py_RETURN_NONE;
    PyObject *me = current_greenlet(board, &state);
    if (me == NULL)
        return NULL;
    PyObject *deadline = board->record_park == NULL ? Py_NewRef(zero) : deadline_ms(state);
    if (deadline == NULL) {
        Py_DECREF(me);
        Py_DECREF(state);
        return NULL;
    }
    if (entry->early) { /* `state_of` is Python: another thread, or a signal's handler, may have come in between */
        Py_DECREF(deadline);
        Py_DECREF(me);
        Py_DECREF(state);
        Py_RETURN_NONE;
    }
    park_on(entry, me, state);
    PyObject *back = NULL;
    Py_INCREF(entry);
    if (RECORD(board->record_park, entry->reason, entry->resource, minus_one, deadline, no_bytes) == 0) {
        back = switch_to_hub(board, entry, me, state);
    } else {
        Py_CLEAR(entry->greenlet);
        Py_DECREF(me);
        Py_DECREF(state);
    }
    Py_DECREF(entry);
    Py_DECREF(deadline);
    return back;
}

static PyObject *
board_give_way(Board *board, PyObject *Py_UNUSED(unused))
{
    State *state = NULL;
    PyObject *me = current_greenlet(board, &state);
    if (me == NULL)
        return NULL;
    Wakeable *entry = (Wakeable *) state->yielder;
    if (IS_NONE(entry) || !PyObject_TypeCheck((PyObject *) entry, wakeable_type) || entry->queued ||
        !IS_NONE(entry->greenlet)) {
        entry = (Wakeable *) PyObject_CallFunction((PyObject *) waiter_type, "OOs", wait_yield, zero, "its turn");
        if (entry == NULL)
            goto failed;
        Py_XSETREF(state->yielder, Py_NewRef(entry));
    } else {
        Py_INCREF(entry);
    }
    PyObject *deadline = board->record_park == NULL ? Py_NewRef(zero) : deadline_ms(state);
    int recorded = deadline == NULL ? -1 : RECORD(board->record_park, wait_yield, zero, minus_one, deadline, no_bytes);
    Py_XDECREF(deadline);
    if (recorded < 0 || RECORD(board->record_ready, state->handle, ready_yield, state->handle) < 0) {
        Py_DECREF(entry);
        goto failed;
    }
    park_on(entry, me, state);
    entry->queued = 1;
    PyObject *back = NULL;
    if (append_ready(board, (PyObject *) entry) == 0) {
        back = switch_to_hub(board, entry, me, state);
    } else {
        Py_CLEAR(entry->greenlet);
        Py_DECREF(me);
        Py_DECREF(state);
    }
    Py_DECREF(entry);
    return back;
failed:
    Py_DECREF(me);
    Py_DECREF(state);
    return NULL;
}

/* Ctrl-C struck between taking an entry and switching to it: it is the next one again. Keeps the error set. */
static void
put_back(Board *board, PyObject *entry)
{
    PyObject *kind, *value, *trace, *done = NULL;
    PyErr_Fetch(&kind, &value, &trace);
    int there = board->ready == NULL ? -1 : PySequence_Contains(board->ready, entry);
    if (there == 0)
        done = PyObject_CallMethodOneArg(board->ready, str_appendleft, entry);
    Py_XDECREF(done);
    PyErr_Restore(kind, value, trace);
}

/* The hub's round: whoever is ready now, in order. Returns how many that were. */
static PyObject *
board_run_ready(Board *board, PyObject *Py_UNUSED(unused))
{
    Py_ssize_t count = PyObject_Size(board->ready);
    if (count < 0)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        /* Ctrl-C is to strike here, in the hub, and not in the first line of whoever is next. */
        if (PyErr_CheckSignals() < 0)
            return NULL;
        PyObject *object = PyObject_CallNoArgs(board->popleft), *done = NULL;
        if (object == NULL)
            return NULL;
        Wakeable *entry = (Wakeable *) object;
        if (!PyObject_TypeCheck(object, wakeable_type)) {
            PyErr_Format(PyExc_TypeError, "the ready queue has %R in it, which is nothing that wakes", object);
        } else if (IS_NONE(entry->greenlet) || !IS_NONE(entry->exception)) {
            if (IS_NONE(board->hub))
                missing("the hub");
            else
                done = PyObject_CallMethodOneArg(board->hub, str_special, object);
        } else {
            PyObject *target = Py_NewRef(entry->greenlet), *args = PyTuple_Pack(1, object);
            int told = args == NULL ? -1 : 0;
            if (told == 0 && board->record_switch != NULL)
                told = board_of(entry) == NULL ? -1 : RECORD(board->record_switch, entry->state->handle);
            if (told == 0) {
                entry->queued = 0;
                done = greenlet_switch(target, args);
            }
            Py_XDECREF(args);
            Py_DECREF(target);
        }
        if (done == NULL && PyObject_TypeCheck(object, wakeable_type) && entry->queued)
            put_back(board, object);
        Py_DECREF(object);
        if (done == NULL)
            return NULL;
        Py_DECREF(done);
    }
    return PyLong_FromSsize_t(count);
}

/* wait_io, on the board that the watcher belongs to; False where that is not this thread's. */
static PyObject *
wakeable_wait(Wakeable *self, PyObject *Py_UNUSED(unused))
{
    if (self->descriptor == NULL || !PyObject_TypeCheck(self->descriptor, armed_type))
        Py_RETURN_FALSE;
    Board *board = ((Armed *) self->descriptor)->board;
    if (board == NULL || board->closed || board->thread != PyThread_get_thread_ident())
        Py_RETURN_FALSE;
    Py_INCREF(board); /* whoever closes the watcher meanwhile takes its descriptor away */
    PyObject *done = board_wait_io(board, (PyObject *) self);
    Py_DECREF(board);
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    Py_RETURN_TRUE;
}

static PyMemberDef board_members[] = {
    MEMBER(Board, hub, "The greenlet to switch to."),
    MEMBER(Board, ready, "Who is ready: a deque of wakeables."),
    MEMBER(Board, recorder, "Is told of every step."),
    {"active", T_PYSSIZET, offsetof(Board, active), 0, PyDoc_STR("How much there is to wait for.")},
    {"closed", T_BOOL, offsetof(Board, closed), 0, PyDoc_STR("Whether nothing waits here any more.")},
    {"thread", T_ULONG, offsetof(Board, thread), 0, PyDoc_STR("The thread whose board it is.")},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef board_methods[] = {
    {"wait_io", (PyCFunction) board_wait_io, METH_O, PyDoc_STR("wait_io(watcher): park until it fires.")},
    {"park", (PyCFunction) board_park, METH_O, PyDoc_STR("park(waiter): park until it is woken.")},
    {"give_way", (PyCFunction) board_give_way, METH_NOARGS, PyDoc_STR("Let the others who are ready run.")},
    {"run_ready", (PyCFunction) board_run_ready, METH_NOARGS, PyDoc_STR("Switch to all who are ready; how many.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot board_slots[] = {
    {Py_tp_doc, (void *) PyDoc_STR("Board(ready, recorder, recording): who parks and who is ready in one thread.")},
    {Py_tp_init, board_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, board_dealloc},
    {Py_tp_traverse, board_traverse},
    {Py_tp_clear, board_clear},
    {Py_tp_members, board_members},
    {Py_tp_methods, board_methods},
    {0, NULL},
};

static PyType_Spec board_spec = {
    .name = "greenscope.runtime._parking.Board",
    .basicsize = sizeof(Board),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = board_slots,
};

/* -- the loop's news of a descriptor ---------------------------------------------------------- */

static int
armed_init(Armed *self, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *board, *others;
    if (!PyArg_ParseTuple(args, "O!:Armed", board_type, &board) || (others = PyList_New(0)) == NULL)
        return -1;
    Py_XSETREF(self->board, (Board *) Py_NewRef(board));
    Py_XSETREF(self->others, others);
    Py_CLEAR(self->reader);
    Py_CLEAR(self->writer);
    self->armed = 0;
    return 0;
}

static int
armed_traverse(Armed *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->board);
    Py_VISIT(self->reader);
    Py_VISIT(self->writer);
    Py_VISIT(self->others);
    return 0;
}

static int
armed_clear(Armed *self)
{
    Py_CLEAR(self->board);
    Py_CLEAR(self->reader);
    Py_CLEAR(self->writer);
    Py_CLEAR(self->others);
    return 0;
}

DEALLOC(armed, Armed)

static PyObject *
armed_on_events(Armed *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "on_events(poll, events, error)");
        return NULL;
    }
    Wakeable *entry = (Wakeable *) self->reader;
    /* Somebody who waits to read, and alone: nearly always. */
    if (self->board == NULL || self->others == NULL) {
        missing("the board of a descriptor");
        return NULL;
    }
    if (PyLong_CheckExact(args[1]) && PyLong_AsLong(args[1]) == 1 && PyList_GET_SIZE(self->others) == 0 &&
        entry != NULL && PyObject_TypeCheck((PyObject *) entry, wakeable_type) && !IS_NONE(entry->greenlet)) {
        if (entry->queued)
            Py_RETURN_NONE;
        if (board_of(entry) == NULL)
            return NULL;
        Py_INCREF(entry);
        Board *board = (Board *) Py_NewRef(self->board);
        int told = RECORD(board->record_fire, entry->state->handle, entry->reason, entry->resource, entry->fd);
        if (told == 0) {
            entry->queued = 1;
            told = append_ready(board, (PyObject *) entry);
        }
        Py_DECREF(board);
        Py_DECREF(entry);
        return told < 0 ? NULL : Py_NewRef(Py_None);
    }
    PyErr_Clear(); /* of a number that is too large, which several_events will refuse */
    return PyObject_CallMethodOneArg((PyObject *) self, str_several, args[1]);
}

static PyMemberDef armed_members[] = {
    {"board", T_OBJECT, offsetof(Armed, board), READONLY, PyDoc_STR("The board of its loop.")},
    MEMBER(Armed, reader, "The first watcher that waits to read."),
    MEMBER(Armed, writer, "The first that waits to write."),
    {"others", T_OBJECT, offsetof(Armed, others), READONLY, PyDoc_STR("All the others: a list.")},
    {"armed", T_INT, offsetof(Armed, armed), 0, PyDoc_STR("What the kernel was told to watch for.")},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef armed_methods[] = {
    {"on_events", (PyCFunction) (void (*)(void)) armed_on_events, METH_FASTCALL,
     PyDoc_STR("on_events(poll, events, error): the kernel's news.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot armed_slots[] = {
    {Py_tp_doc, (void *) PyDoc_STR("Armed(board): whom news of one descriptor are for.")},
    {Py_tp_init, armed_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, armed_dealloc},
    {Py_tp_traverse, armed_traverse},
    {Py_tp_clear, armed_clear},
    {Py_tp_members, armed_members},
    {Py_tp_methods, armed_methods},
    {0, NULL},
};

static PyType_Spec armed_spec = {
    .name = "greenscope.runtime._parking.Armed",
    .basicsize = sizeof(Armed),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = armed_slots,
};

/* -- the module ------------------------------------------------------------------------------- */

static PyObject *
parking_use_numbers(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *a, *b, *c, *d;
    if (!PyArg_ParseTuple(args, "OOOO:use_numbers", &a, &b, &c, &d))
        return NULL;
    Py_XSETREF(wait_yield, Py_NewRef(a));
    Py_XSETREF(ready_yield, Py_NewRef(b));
    Py_XSETREF(ready_other, Py_NewRef(c));
    Py_XSETREF(ready_greenlet, Py_NewRef(d));
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"use_numbers", parking_use_numbers, METH_VARARGS,
     PyDoc_STR("use_numbers(wait_yield, ready_yield, ready_other, ready_greenlet): the numbers of trace.events.")},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *module)
{
    greenlet_api = PyCapsule_Import("greenlet._C_API", 0);
    if (greenlet_api == NULL)
        return -1;
    struct {
        PyObject **place;
        const char *text;
    } names[] = {
        {&str_state, "_state"},
        {&str_state_of, "state_of"},
        {&str_due, "due"},
        {&str_call_threadsafe, "call_threadsafe"},
        {&str_wake, "wake"},
        {&str_arm, "arm"},
        {&str_refuse, "refuse_second_wait"},
        {&str_refuse_switch, "refuse_switch"},
        {&str_special, "special"},
        {&str_several, "several_events"},
        {&str_current, "current"},
        {&str_appendleft, "appendleft"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((*names[i].place = PyUnicode_InternFromString(names[i].text)) == NULL)
            return -1;
    if ((zero = PyLong_FromLong(0)) == NULL || (minus_one = PyLong_FromLong(-1)) == NULL ||
        (no_bytes = PyBytes_FromStringAndSize(NULL, 0)) == NULL)
        return -1;
    wait_yield = Py_NewRef(zero);
    ready_yield = Py_NewRef(zero);
    ready_other = Py_NewRef(zero);
    ready_greenlet = Py_NewRef(zero);
    struct {
        PyTypeObject **place;
        PyType_Spec *spec;
        PyTypeObject **base;
        const char *name;
    } types[] = {
        {&board_type, &board_spec, NULL, "Board"},          {&state_type, &state_spec, NULL, "State"},
        {&wakeable_type, &wakeable_spec, NULL, "Wakeable"}, {&waiter_type, &waiter_spec, &wakeable_type, "Waiter"},
        {&place_type, &place_spec, &waiter_type, "Place"},  {&armed_type, &armed_spec, NULL, "Armed"},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        PyObject *base = types[i].base != NULL ? (PyObject *) *types[i].base : NULL;
        *types[i].place = (PyTypeObject *) PyType_FromSpecWithBases(types[i].spec, base);
        if (*types[i].place == NULL || PyModule_AddObjectRef(module, types[i].name, (PyObject *) *types[i].place) < 0)
            return -1;
    }
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "greenscope.runtime._parking",
    .m_doc = PyDoc_STR("Parking, waking and switching, in C."),
    .m_size = 0,
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__parking(void)
{
    return PyModuleDef_Init(&module_def);
}
