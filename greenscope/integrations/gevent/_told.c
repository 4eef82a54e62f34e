/* What a greenlet is about when it parks: gevent's locks, queues, events, and the ends of its greenlets.
 *
 * Their classes are in C, and the frames of their methods are nowhere to be seen. So the methods are put into their
 * classes again, around themselves: each notes what is waited for while it runs. That is done to the classes
 * themselves (their dictionaries, which Python does not let one write to): subclasses in their place would leave
 * every reference that gevent has to the old ones, and isinstance and pickle would tell two kinds of events apart.
 *
 * A note is kept with the greenlet and not on the C stack, which is not there while another one runs. What is waited
 * for gets a number, and is known by its address, when somebody parks on it; a lock when it is first taken, because
 * who holds it is asked later. A weak reference forgets it.
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

typedef struct {
    PyWeakReference base;
    Resource *resource;
} Ref;

static PyTypeObject *method_type, *ref_type;
static PyObject *freed_function, *str_dead;
static Resource **places;
static size_t size, count;

/* -- what is waited for ----------------------------------------------------------------------- */

static inline size_t
place_of(const PyObject *object, size_t of)
{
    return (size_t) (((uint64_t) (uintptr_t) object * UINT64_C(0x9E3779B97F4A7C15)) >> 24) & (of - 1);
}

Resource *
resource_of(PyObject *object)
{
    Resource *resource = size ? places[place_of(object, size)] : NULL;
    while (resource != NULL && resource->object != object)
        resource = resource->next;
    return resource;
}

static void
resource_free(Resource *resource)
{
    Resource **at = &places[place_of(resource->object, size)];
    while (*at != resource)
        at = &(*at)->next;
    *at = resource->next;
    count--;
    for (Entry *entry = resource->first; entry != NULL; entry = entry->behind)
        entry->on = NULL;
    Py_XDECREF(resource->weak);
    PyMem_Free(resource);
}

static PyObject *
freed(PyObject *Py_UNUSED(module), PyObject *weak)
{
    if (PyObject_TypeCheck(weak, ref_type) && ((Ref *) weak)->resource != NULL)
        resource_free(((Ref *) weak)->resource);
    Py_RETURN_NONE;
}

static PyMethodDef freed_method = {"freed", freed, METH_O, NULL};

static int
table_grow(void)
{
    size_t larger = size ? size * 2 : 256;
    Resource **new = PyMem_Calloc(larger, sizeof *new);
    if (new == NULL)
        return -1;
    for (size_t i = 0; i < size; i++)
        for (Resource *resource = places[i], *next; resource != NULL; resource = next) {
            size_t place = place_of(resource->object, larger);
            next = resource->next;
            resource->next = new[place];
            new[place] = resource;
        }
    PyMem_Free(places);
    places = new;
    size = larger;
    return 0;
}

/* The same, made if it is not known yet; NULL: it cannot be known. Its number is another one in another ring. */
Resource *
resource_for(PyObject *object, int kind, Thread *thread)
{
    Resource *resource = resource_of(object);
    if (resource == NULL) {
        if (count >= size && table_grow() < 0)
            return NULL;
        PyObject *weak = PyObject_CallFunctionObjArgs((PyObject *) ref_type, object, freed_function, NULL);
        if (weak == NULL || (resource = PyMem_Calloc(1, sizeof *resource)) == NULL) {
            PyErr_Clear();
            Py_XDECREF(weak);
            return NULL;
        }
        ((Ref *) weak)->resource = resource;
        size_t place = place_of(object, size);
        *resource = (Resource){.next = places[place], .object = object, .weak = weak, .kind = kind};
        places[place] = resource;
        count++;
    }
    if (resource->life != thread->life) {
        resource->life = thread->life;
        resource->number = ring->resource(thread->ring);
        resource->holder = resource->told_by = resource->told_ns = 0;
        resource->held = 0;
    }
    return resource;
}

/* -- who waits, who holds --------------------------------------------------------------------- */

/* The first of the line, who has waited longest, is told who holds it; the others are when they come first. */
static void
name_holder(Resource *resource)
{
    Entry *first = resource->first;
    if (first != NULL && first->state == PARKED && first->reason == GS_WAIT_LOCK &&
        first->thread->life == resource->life)
        ring->awaits(first->thread->ring, first->handle, resource->number,
                     resource->held == 1 && !resource->signals ? resource->holder : 0);
}

void
line_join(Entry *entry, Resource *resource)
{
    Entry **last = &resource->first;
    while (*last != NULL)
        last = &(*last)->behind;
    *last = entry;
    entry->behind = NULL;
    entry->on = resource;
}

void
line_leave(Entry *entry)
{
    Resource *resource = entry->on;
    if (resource == NULL)
        return;
    Entry **at = &resource->first;
    int first = *at == entry;
    while (*at != NULL && *at != entry)
        at = &(*at)->behind;
    if (*at == entry)
        *at = entry->behind;
    entry->behind = NULL;
    entry->on = NULL;
    if (first)
        name_holder(resource);
}

static void
acquired(Resource *resource, Thread *thread, uint64_t me)
{
    resource->holder = me;
    resource->held++;
    if (resource->first != NULL)
        name_holder(resource);
    if (ring->detail(thread->ring) >= GS_DETAIL_IO)
        ring->acquire(thread->ring, 0, resource->kind, 0, resource->number, 0);
}

static void
told_of(Resource *resource, Thread *thread, uint64_t me)
{
    resource->told_by = me;
    resource->told_ns = ring->now(thread->ring);
    if (ring->detail(thread->ring) >= GS_DETAIL_IO)
        ring->release(thread->ring, resource->kind, resource->number, 0);
}

static void
released(Resource *resource, Thread *thread, uint64_t me)
{
    if (resource->holder && resource->holder != me)
        resource->signals = 1; /* it is no lock, but a sign that one greenlet gives another */
    resource->holder = 0;
    if (resource->held > 0)
        resource->held--;
    told_of(resource, thread, me);
}

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
            acquired(resource, thread, me);
        break;
    case RELEASES:
        if ((resource = resource_of(object)) != NULL && resource->life == thread->life)
            released(resource, thread, me);
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
            told_of(resource, thread, me);
        break;
    case KILLS: /* before it ran, it will not */
        if ((target = entry_of(object)) != NULL && (target->state == FRESH || target->state == READY)) {
            PyObject *dead = PyObject_GetAttr(object, str_dead);
            if (dead == Py_True)
                entry_end(target, GS_EXIT_KILLED);
            Py_XDECREF(dead);
            PyErr_Clear();
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

static PyType_Slot ref_slots[] = {{0, NULL}};
static PyType_Spec ref_spec = {
    .name = "greenscope.integrations.gevent._gevent.ResourceRef",
    .basicsize = sizeof(Ref),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = ref_slots,
};

int
told_ready(PyObject *module)
{
    method_type = (PyTypeObject *) PyType_FromSpec(&method_spec);
    ref_type = (PyTypeObject *) PyType_FromSpecWithBases(&ref_spec, (PyObject *) &_PyWeakref_RefType);
    freed_function = PyCFunction_New(&freed_method, module);
    str_dead = PyUnicode_InternFromString("dead");
    if (method_type == NULL || ref_type == NULL || freed_function == NULL || str_dead == NULL)
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
