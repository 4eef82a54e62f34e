/* A call in a thread of gevent's pool, around the function: it knows when a thread has taken it.
 *
 * In C, because a function in Python would be one more frame for whoever traces or profiles that thread. Of all else
 * it is asked it says what its function does.
 */
#include "_gevent.h"

#include <stddef.h>
#include <structmember.h>
#include <time.h>

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *function;
    unsigned long long began_ns; /* by CLOCK_MONOTONIC; 0: no thread has taken it */
} Job;

static PyTypeObject *job_type;

static PyObject *
job_call(PyObject *self, PyObject *const *args, size_t flags, PyObject *names)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    ((Job *) self)->began_ns = (unsigned long long) now.tv_sec * 1000000000 + (unsigned long long) now.tv_nsec;
    return PyObject_Vectorcall(((Job *) self)->function, args, flags, names);
}

static PyObject *
job_getattro(PyObject *self, PyObject *name)
{
    if (PyUnicode_CompareWithASCIIString(name, "began_ns") == 0)
        return PyLong_FromUnsignedLongLong(((Job *) self)->began_ns);
    return PyObject_GetAttr(((Job *) self)->function, name);
}

static PyObject *
job_repr(PyObject *self)
{
    return PyObject_Repr(((Job *) self)->function);
}

/* It equals its function. */
static PyObject *
job_compare(PyObject *self, PyObject *other, int how)
{
    return PyObject_RichCompare(((Job *) self)->function,
                                Py_IS_TYPE(other, job_type) ? ((Job *) other)->function : other, how);
}

static Py_hash_t
job_hash(PyObject *self)
{
    return PyObject_Hash(((Job *) self)->function);
}

static int
job_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Job *) self)->function);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int
job_clear(PyObject *self)
{
    Py_CLEAR(((Job *) self)->function);
    return 0;
}

static void
job_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    job_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef job_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Job, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot job_slots[] = {
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_getattro, job_getattro},
    {Py_tp_repr, job_repr},          {Py_tp_richcompare, job_compare},
    {Py_tp_hash, job_hash},          {Py_tp_traverse, job_traverse},
    {Py_tp_clear, job_clear},        {Py_tp_dealloc, job_dealloc},
    {Py_tp_members, job_members},    {0, NULL},
};

static PyType_Spec job_spec = {
    .name = "greenscope.integrations.gevent._gevent.Job",
    .basicsize = sizeof(Job),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = job_slots,
};

/* job(function): the same to call, which knows when it was begun. */
PyObject *
job(PyObject *Py_UNUSED(module), PyObject *function)
{
    if (job_type == NULL && (job_type = (PyTypeObject *) PyType_FromSpec(&job_spec)) == NULL)
        return NULL;
    Job *made = PyObject_GC_New(Job, job_type);
    if (made == NULL)
        return NULL;
    made->call = job_call;
    made->function = Py_NewRef(function);
    made->began_ns = 0;
    PyObject_GC_Track(made);
    return (PyObject *) made;
}
