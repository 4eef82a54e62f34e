/* Putting an item into a queue and getting one, in C, as long as nobody has to wait. queue_base.py is the
 * same in Python; simple_queue.py is what it is about, and does everything else.
 *
 * No Python code runs between a look at a line or at the room and what is done about it, but for items
 * that compare themselves and for queues that keep their items in a way of their own.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stddef.h>

static PyObject *str_block, *str_timeout, *str_item, *str_hand, *str_match, *str_admit, *str_wait_for_room,
    *str_wait_for_item;

typedef struct {
    PyObject_HEAD
    PyObject *queue;   /* what holds the items */
    PyObject *getters; /* a deque of places */
    PyObject *putters;
    PyObject *store; /* store(item) puts one into queue, take() takes one out, or raises IndexError */
    PyObject *take;
    double room; /* how many more fit; infinite, if there is no limit */
    Py_ssize_t count;
} Base;

/* Whether somebody is in a line, or something in the queue; -1 with an error set. */
static inline int
is_any(PyObject *container)
{
    if (container == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a queue was used before its __init__ was called");
        return -1;
    }
    Py_ssize_t size = PyObject_Size(container);
    return size < 0 ? -1 : size > 0;
}

/* The arguments: up to `most`, by position or by these names. What is not given stays as it is. */
static int
arguments(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, PyObject **names,
          Py_ssize_t most, PyObject **values)
{
    if (nargs > most) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments, not %zd", function, most, nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++)
        values[i] = args[i];
    for (Py_ssize_t k = 0; kwnames != NULL && k < PyTuple_GET_SIZE(kwnames); k++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, k);
        Py_ssize_t i = 0;
        while (i < most && PyUnicode_Compare(name, names[i]) != 0)
            i++;
        if (i == most || i < nargs) {
            PyErr_Format(PyExc_TypeError, "%s() has no argument %R, or has it twice", function, name);
            return -1;
        }
        values[i] = args[nargs + k];
    }
    return 0;
}

static int
call(Base *self, PyObject *method)
{
    PyObject *done = PyObject_CallMethodNoArgs((PyObject *) self, method);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Call `store` or `take`, which is not freed while it runs, though it may replace itself. */
static PyObject *
call_held(PyObject *function, PyObject *item)
{
    if (function == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a queue was used before its __init__ was called");
        return NULL;
    }
    Py_INCREF(function);
    PyObject *got = item != NULL ? PyObject_CallOneArg(function, item) : PyObject_CallNoArgs(function);
    Py_DECREF(function);
    return got;
}

static PyObject *
base_put(Base *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *values[] = {NULL, Py_True, Py_None};
    if (arguments("put", args, nargs, kwnames, (PyObject *[]){str_item, str_block, str_timeout}, 3, values) < 0)
        return NULL;
    if (values[0] == NULL) {
        PyErr_SetString(PyExc_TypeError, "put() needs an item");
        return NULL;
    }
    int waiting = is_any(self->getters);
    if (waiting > 0) {
        PyObject *handed = PyObject_CallMethodOneArg((PyObject *) self, str_hand, values[0]);
        int gone = handed == NULL ? -1 : PyObject_IsTrue(handed);
        Py_XDECREF(handed);
        if (gone != 0)
            return gone < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (waiting < 0)
        return NULL;
    if (!(self->room > 0))
        return PyObject_CallMethodObjArgs((PyObject *) self, str_wait_for_room, values[0], values[1], values[2], NULL);
    self->room -= 1;
    self->count += 1;
    PyObject *stored = call_held(self->store, values[0]);
    if (stored == NULL) { /* of items that cannot be compared */
        self->room += 1;
        self->count -= 1;
        return NULL;
    }
    Py_DECREF(stored);
    waiting = is_any(self->getters);
    if (waiting < 0 || (waiting && call(self, str_match) < 0))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
base_get(Base *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *values[] = {Py_True, Py_None};
    if (arguments("get", args, nargs, kwnames, (PyObject *[]){str_block, str_timeout}, 2, values) < 0)
        return NULL;
    int filled = is_any(self->queue);
    if (filled < 0)
        return NULL;
    PyObject *item = filled ? call_held(self->take, NULL) : NULL;
    if (item == NULL) {
        if (filled) { /* another thread took it */
            if (!PyErr_ExceptionMatches(PyExc_IndexError))
                return NULL;
            PyErr_Clear();
        }
        return PyObject_CallMethodObjArgs((PyObject *) self, str_wait_for_item, values[0], values[1], Py_None, NULL);
    }
    self->room += 1;
    int waiting = is_any(self->putters);
    if (waiting < 0 || (waiting && call(self, str_admit) < 0))
        Py_CLEAR(item);
    return item;
}

static int
base_traverse(Base *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->queue);
    Py_VISIT(self->getters);
    Py_VISIT(self->putters);
    Py_VISIT(self->store);
    Py_VISIT(self->take);
    return 0;
}

static int
base_clear(Base *self)
{
    Py_CLEAR(self->queue);
    Py_CLEAR(self->getters);
    Py_CLEAR(self->putters);
    Py_CLEAR(self->store);
    Py_CLEAR(self->take);
    return 0;
}

static void
base_dealloc(Base *self)
{
    PyTypeObject *class = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    base_clear(self);
    class->tp_free(self);
    Py_DECREF(class);
}

#define MEMBER(name, kind, field, doc) {name, kind, offsetof(Base, field), 0, PyDoc_STR(doc)}

static PyMemberDef base_members[] = {
    MEMBER("queue", T_OBJECT_EX, queue, "What holds the items."),
    MEMBER("_getters", T_OBJECT_EX, getters, "Who waits for an item."),
    MEMBER("_putters", T_OBJECT_EX, putters, "Who waits for room."),
    MEMBER("_store", T_OBJECT_EX, store, "Puts an item where they are held."),
    MEMBER("_take", T_OBJECT_EX, take, "Takes the next item from there."),
    MEMBER("_room", T_DOUBLE, room, "How many more fit."),
    MEMBER("_count", T_PYSSIZET, count, "How many were put in and are not done with."),
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef base_methods[] = {
    {"put", (PyCFunction) (void (*)(void)) base_put, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("put($self, item, block=True, timeout=None)\n--\n\n"
               "Put an item in; wait for room, if told to, for at most so many seconds, else raise Full.")},
    {"get", (PyCFunction) (void (*)(void)) base_get, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("get($self, block=True, timeout=None)\n--\n\n"
               "Take the item whose turn it is; wait, if told to, for at most so many seconds, else raise Empty.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot base_slots[] = {
    {Py_tp_doc, (void *) PyDoc_STR("A queue, as far as nobody has to wait.")},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, base_dealloc},
    {Py_tp_traverse, base_traverse},
    {Py_tp_clear, base_clear},
    {Py_tp_members, base_members},
    {Py_tp_methods, base_methods},
    {0, NULL},
};

static PyType_Spec base_spec = {
    .name = "greenscope.runtime._queue_base.Base",
    .basicsize = sizeof(Base),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = base_slots,
};

static int
module_exec(PyObject *module)
{
    struct {
        PyObject **place;
        const char *text;
    } names[] = {
        {&str_block, "block"},
        {&str_timeout, "timeout"},
        {&str_item, "item"},
        {&str_hand, "_hand"},
        {&str_match, "_match"},
        {&str_admit, "_admit"},
        {&str_wait_for_room, "_wait_for_room"},
        {&str_wait_for_item, "_wait_for_item"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((*names[i].place = PyUnicode_InternFromString(names[i].text)) == NULL)
            return -1;
    PyObject *base = PyType_FromSpec(&base_spec);
    int failed = base == NULL ? -1 : PyModule_AddObjectRef(module, "Base", base);
    Py_XDECREF(base);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "greenscope.runtime._queue_base",
    .m_doc = PyDoc_STR("Putting an item into a queue and getting one, in C."),
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__queue_base(void)
{
    return PyModuleDef_Init(&module_def);
}
