/* The hot half of a wait: parking, waking, and switching to whoever is ready.
 *
 * parking.py is the same in Python and says what each thing is for; hub.py is the story that they are
 * the steps of. What is here is here because a server does it for every request: a park, a switch to
 * the hub, the loop's news, a switch back. Everything that is rare is a method call into Python.
 *
 *   - No Python code runs between a check and the change that follows it, so no signal handler and no
 *     other thread can come between.
 *   - The ring is told by its C interface, or by its methods where it is the Python twin; when nothing is
 *     recorded it is not told at all.
 *   - Errors are raised by the Python methods named `refuse…`, which know the words.
 *
 * Here are the board, the descriptors' news and the module; _parking.h has the structures, and
 * _parking_entries.h what a greenlet parks on.
 */
#include "_parking.h"
#include "_parking_entries.h"

/* -- the board: who parks, who is ready ------------------------------------------------------- */

static int
board_init(Board *board, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *ready, *recorder;
    int recording;
    if (!PyArg_ParseTuple(args, "OOp:Board", &ready, &recorder, &recording))
        return -1;
    board->active = board->rounds = 0;
    board->closed = 0;
    board->thread = PyThread_get_thread_ident();
    Py_XSETREF(board->ready, Py_NewRef(ready));
    Py_XSETREF(board->recorder, Py_NewRef(recorder));
    board->recording = (char) recording;
    board->ring = ring_api != NULL && PyObject_TypeCheck(recorder, ring_api->type) ? ring_api : NULL;
    PyObject *append = PyObject_GetAttrString(ready, "append");
    PyObject *popleft = append == NULL ? NULL : PyObject_GetAttrString(ready, "popleft");
    if (popleft == NULL) {
        Py_XDECREF(append);
        return -1;
    }
    Py_XSETREF(board->append, append);
    Py_XSETREF(board->popleft, popleft);
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

/* What is left to record of a wait that is over. Keeps an error that is set, unless there is a newer one: that stays,
 * as that of a `finally` does; it may be Ctrl-C. */
static PyObject *
record_over(Board *board, Wakeable *entry, State *state, PyObject *back)
{
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    if ((!entry->stopped && record_stop(board, entry) < 0) ||
        (state->timeout_number != 0 && record_cancel(board, state) < 0)) {
        Py_CLEAR(back);
        Py_XDECREF(kind);
        Py_XDECREF(value);
        Py_XDECREF(trace);
    } else {
        PyErr_Restore(kind, value, trace);
    }
    return back;
}

/* `within`: the greenlet's last timeout is of this wait only. */
static inline PyObject *
wait_for(Board *board, PyObject *object, int within)
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
    uint64_t due = 0;
    int64_t granted = -1;
    if (board->recording) {
        if (due_ns(state, &due) < 0)
            goto failed;
        if (within && (granted = granted_by_last(state)) < 0 && PyErr_Occurred())
            goto failed;
    }
    Py_INCREF(entry); /* whoever closes it meanwhile does not free it */
    Py_INCREF(state);
    char counts = entry->counts;
    unsigned int earlier = state->timeout_number; /* of a wait that a signal's handler interrupted */
    park_on(entry, me, state);
    board->active += counts;
    entry->waits = 1;
    entry->stopped = 0;
    PyObject *back = NULL;
    if (record_wait(board, entry, state, due, granted) == 0) {
        back = switch_to_hub(board, entry, me, state);
    } else {
        Py_CLEAR(entry->greenlet);
        Py_DECREF(me);
        Py_DECREF(state);
    }
    entry->waits = 0;
    board->active -= counts;
    if (board->recording && !(entry->stopped && state->timeout_number == 0))
        back = record_over(board, entry, state, back);
    state->timeout_number = earlier;
    Py_DECREF(state);
    Py_DECREF(entry);
    return back;
failed:
    Py_DECREF(me);
    Py_DECREF(state);
    return NULL;
}

static PyObject *
board_wait_io(Board *board, PyObject *object)
{
    return wait_for(board, object, 0);
}

static PyObject *
board_wait_io_within(Board *board, PyObject *object)
{
    return wait_for(board, object, 1);
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
    uint64_t due = 0;
    if (board->recording && due_ns(state, &due) < 0) {
        Py_DECREF(me);
        Py_DECREF(state);
        return NULL;
    }
    if (entry->early) { /* `state_of` is Python: another thread, or a signal's handler, may have come in between */
        Py_DECREF(me);
        Py_DECREF(state);
        Py_RETURN_NONE;
    }
    park_on(entry, me, state);
    PyObject *back = NULL;
    Py_INCREF(entry);
    if (record_park(board, entry, due) == 0) {
        back = switch_to_hub(board, entry, me, state);
    } else {
        Py_CLEAR(entry->greenlet);
        Py_DECREF(me);
        Py_DECREF(state);
    }
    Py_DECREF(entry);
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
        entry = (Wakeable *) PyObject_CallFunction((PyObject *) waiter_type, "iis", wait_yield, 0, "its turn");
        if (entry == NULL)
            goto failed;
        Py_XSETREF(state->yielder, Py_NewRef(entry));
    } else {
        Py_INCREF(entry);
    }
    uint64_t due = 0;
    if ((board->recording && due_ns(state, &due) < 0) || record_give_way(board, state, due) < 0) {
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
    board->rounds++;
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
            if (told == 0 && board->recording)
                told = board_of(entry) == NULL ? -1
                       : entry->waits          ? record_resume(board, entry)
                                               : record_run(board, entry->state);
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
    {"recorder", T_OBJECT, offsetof(Board, recorder), READONLY, PyDoc_STR("Is told of every step.")},
    {"active", T_PYSSIZET, offsetof(Board, active), 0, PyDoc_STR("How much there is to wait for.")},
    {"rounds", T_PYSSIZET, offsetof(Board, rounds), READONLY, PyDoc_STR("How many the hub has begun.")},
    {"closed", T_BOOL, offsetof(Board, closed), 0, PyDoc_STR("Whether nothing waits here any more.")},
    {"thread", T_ULONG, offsetof(Board, thread), 0, PyDoc_STR("The thread whose board it is.")},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef board_methods[] = {
    {"wait_io", (PyCFunction) board_wait_io, METH_O, PyDoc_STR("wait_io(watcher): park until it fires.")},
    {"wait_io_within", (PyCFunction) board_wait_io_within, METH_O,
     PyDoc_STR("wait_io_within(watcher): the same, and the last timeout, which is of this wait, is recorded with it.")},
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
        int told = record_fire(board, entry);
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
    if (!PyArg_ParseTuple(args, "iiii:use_numbers", &wait_yield, &ready_other, &ready_greenlet, &timeouts_socket))
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"use_numbers", parking_use_numbers, METH_VARARGS,
     PyDoc_STR("use_numbers(wait_yield, ready_other, ready_greenlet, timeouts_socket): the numbers of trace.events.")},
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
        {&str_granted, "granted"},
        {&str_wake, "wake"},
        {&str_arm, "arm"},
        {&str_refuse, "refuse_second_wait"},
        {&str_refuse_switch, "refuse_switch"},
        {&str_special, "special"},
        {&str_several, "several_events"},
        {&str_appendleft, "appendleft"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((*names[i].place = PyUnicode_InternFromString(names[i].text)) == NULL)
            return -1;
    if ((no_bytes = PyBytes_FromStringAndSize(NULL, 0)) == NULL)
        return -1;
    PyObject *ring = PyImport_ImportModule("greenscope.trace._ring"), *capsule = NULL;
    if (ring == NULL && !PyErr_ExceptionMatches(PyExc_ImportError))
        return -1;
    if (ring == NULL) {
        PyErr_Clear();
    } else {
        capsule = PyObject_GetAttrString(ring, "_API");
        ring_api = capsule == NULL ? NULL : PyCapsule_GetPointer(capsule, RING_API_CAPSULE);
        Py_XDECREF(capsule);
        Py_DECREF(ring);
        if (ring_api == NULL)
            return -1;
    }
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
