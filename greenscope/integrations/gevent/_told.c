/* What a greenlet is about when it parks: gevent's locks, queues, events, and the ends of its greenlets.
 *
 * Their classes are in C, and the frames of their methods are nowhere to be seen. So the methods are put into their
 * classes again, around themselves: each notes what is waited for while it runs. That is done to the classes
 * themselves (their dictionaries, which Python does not let one write to): subclasses in their place would leave
 * every reference that gevent has to the old ones, and isinstance and pickle would tell two kinds of events apart.
 *
 * A note is kept with the greenlet and not on the C stack, which is not there while another one runs.
 */
#include "_gevent.h"

#include <stddef.h>
#include <structmember.h>

enum { WAITS, NOTIFIES, BOTH, ACQUIRES, RELEASES, JOINS, KILLS, LATER };

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *function; /* gevent's */
    int role, reason, kind, enters;
    int method; /* of a class: its first argument is what it is about */
} Method;

static PyTypeObject *method_type;
static PyObject *str_dead;

/* -- a method of gevent's --------------------------------------------------------------------- */

/* Whom a call that waits for the ends of greenlets is up to: of a list, the last that has not ended. */
static PyObject *
whom(const Method *method, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || method->method)
        return nargs < 1 ? NULL : args[0];
    for (Py_ssize_t i = PyList_CheckExact(args[0]) ? PyList_GET_SIZE(args[0]) : 0; i-- > 0;) {
        PyObject *one = PyList_GET_ITEM(args[0], i);
        if (PyObject_TypeCheck(one, greenlet_type) && entry_of(one) != NULL)
            return one;
    }
    return NULL;
}

static void
after(const Method *method, Thread *thread, PyObject *object, PyObject *result)
{
    uint64_t me = ring->current(thread->ring);
    Resource *resource;
    Entry *target;
    switch (method->role) {
    case ACQUIRES:
        if ((method->enters || (result != Py_False && result != Py_None)) &&
            (resource = resource_for(object, method->kind, thread)) != NULL)
            resource_acquired(resource, thread, me);
        break;
    case RELEASES:
        if ((resource = resource_of(object)) != NULL && resource->life == thread->life)
            resource_released(resource, thread, me);
        break;
    case WAITS:
        if (ring->detail(thread->ring) >= GS_DETAIL_IO && result != Py_False &&
            (resource = resource_for(object, method->kind, thread)) != NULL)
            ring->acquire(thread->ring, 0, resource->kind, 0, resource->number, 0);
        break;
    case NOTIFIES:
    case BOTH:
        if ((resource = ring->detail(thread->ring) >= GS_DETAIL_IO ? resource_for(object, method->kind, thread)
                                                                   : resource_of(object)) != NULL &&
            resource->life == thread->life)
            resource_told(resource, thread, me);
        break;
    case KILLS: /* before it ran, it will not */
        if ((target = entry_of(object)) != NULL && (target->state == FRESH || target->state == READY)) {
            PyObject *dead = own_attribute(object, str_dead);
            if (dead == Py_True)
                entry_end(target, GS_EXIT_KILLED);
            Py_XDECREF(dead);
        }
        break;
    }
}

static PyObject *
method_call(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    const Method *method = (const Method *) callable;
    Thread *thread = here;
    if (thread == NULL || thread->left)
        return PyObject_Vectorcall(method->function, args, flags, names);
    Entry *entry = running(thread);
    PyObject *object = method->role == JOINS && !method->method ? whom(method, args, PyVectorcall_NARGS(flags))
                       : PyVectorcall_NARGS(flags) > 0          ? args[0]
                                                                : NULL;
    Py_XINCREF(object); /* of a list, which may change */
    int outer = entry == NULL || entry->depth == 0 || object == NULL || entry->told[entry->depth - 1].object != object,
        noted = entry != NULL && entry->depth < TOLD;
    if (noted)
        entry->told[entry->depth++] = (Told){object, method->reason, method->kind, method->enters};
    if (method->role == KILLS && object != NULL) {
        Entry *target = entry_of(object);
        if (target != NULL && !target->killer) { /* the hub, which does it, was told to */
            target->killer = ring->current(thread->ring);
            target->killed_ns = ring->now(thread->ring);
        }
    }
    thread->later += method->role == LATER;
    PyObject *result = PyObject_Vectorcall(method->function, args, flags, names);
    if (here != thread) { /* the hub was destroyed meanwhile, and all that was known of it is gone */
        Py_XDECREF(object);
        return result;
    }
    thread->later -= method->role == LATER;
    if (noted && (entry = running(thread)) != NULL && entry->depth > 0)
        entry->depth--;
    if (outer && object != NULL && !thread->left) {
        PyObject *kind, *value, *trace;
        PyErr_Fetch(&kind, &value, &trace);
        if (result != NULL || method->role == KILLS)
            after(method, thread, object, result);
        PyErr_Restore(kind, value, trace);
    }
    Py_XDECREF(object);
    return result;
}

/* -- the type --------------------------------------------------------------------------------- */

static PyObject *
method_get(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    return object == NULL || object == Py_None || !((Method *) self)->method ? Py_NewRef(self)
                                                                             : PyMethod_New(self, object);
}

/* Whatever else one may ask of it is gevent's: its name, its text, its signature. */
static PyObject *
method_getattro(PyObject *self, PyObject *name)
{
    return PyObject_GetAttr(((Method *) self)->function, name);
}

static PyObject *
method_repr(PyObject *self)
{
    return PyObject_Repr(((Method *) self)->function);
}

static PyObject *
method_reduce(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return PyObject_GetAttrString(((Method *) self)->function, "__qualname__");
}

static int
method_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Method *) self)->function);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void
method_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Method *) self)->function);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef method_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Method, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef method_methods[] = {
    {"__reduce__", method_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot method_slots[] = {
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_descr_get, method_get},     {Py_tp_getattro, method_getattro},
    {Py_tp_repr, method_repr},       {Py_tp_traverse, method_traverse}, {Py_tp_dealloc, method_dealloc},
    {Py_tp_members, method_members}, {Py_tp_methods, method_methods},   {0, NULL},
};

static PyType_Spec method_spec = {
    .name = "greenscope.integrations.gevent._gevent.Method",
    .basicsize = sizeof(Method),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = method_slots,
};

static PyObject *
around(PyObject *function, int role, int reason, int kind, int enters, int is_method)
{
    Method *made = PyObject_GC_New(Method, method_type);
    if (made == NULL)
        return NULL;
    made->call = method_call;
    made->function = Py_NewRef(function);
    made->role = role;
    made->reason = reason;
    made->kind = kind;
    made->enters = enters;
    made->method = is_method;
    PyObject_GC_Track(made);
    return (PyObject *) made;
}

/* tell(class, name, role, reason, kind): put a method of a class of gevent's around itself. */
PyObject *
tell(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTypeObject *type;
    PyObject *name, *function, *made;
    int role, reason, kind;
    if (!PyArg_ParseTuple(args, "O!Uiii:tell", &PyType_Type, &type, &name, &role, &reason, &kind))
        return NULL;
    function = PyDict_GetItemWithError(type->tp_dict, name);
    if (function == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetObject(PyExc_KeyError, name);
        return NULL;
    }
    if (!Py_IS_TYPE(function, method_type)) {
        made = around(function, role, reason, kind, PyUnicode_CompareWithASCIIString(name, "__enter__") == 0, 1);
        if (made == NULL || PyDict_SetItem(type->tp_dict, name, made) < 0) {
            Py_XDECREF(made);
            return NULL;
        }
        Py_DECREF(made);
        PyType_Modified(type);
    }
    Py_RETURN_NONE;
}

/* telling(function, role, reason, kind): what to put in the place of a function of gevent's. */
PyObject *
telling(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *function;
    int role, reason, kind;
    if (!PyArg_ParseTuple(args, "Oiii:telling", &function, &role, &reason, &kind))
        return NULL;
    return around(function, role, reason, kind, 0, 0);
}

int
told_ready(PyObject *module)
{
    method_type = (PyTypeObject *) PyType_FromSpec(&method_spec);
    str_dead = PyUnicode_InternFromString("dead");
    if (method_type == NULL || str_dead == NULL || resources_ready(module) < 0)
        return -1;
    static const struct {
        const char *name;
        int role;
    } roles[] = {{"WAITS", WAITS},       {"NOTIFIES", NOTIFIES}, {"BOTH", BOTH},   {"ACQUIRES", ACQUIRES},
                 {"RELEASES", RELEASES}, {"JOINS", JOINS},       {"KILLS", KILLS}, {"LATER", LATER}};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (PyModule_AddIntConstant(module, roles[i].name, roles[i].role) < 0)
            return -1;
    return 0;
}
