/* Setting and getting an attribute of a local, in C. local_base.py is the same in Python; local.py is what
 * it is about.
 *
 * A program that was patched looks something up in a local for every request, and often; found here, it
 * costs what an attribute of any object costs, and a look at which greenlet runs.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stddef.h>

/* Of greenlet's C interface, as in _parking.c: its header is not where a build can count on finding it. */
enum { GREENLET_GET_CURRENT = 4 };
static void **greenlet_api;
#define greenlet_current() (((PyObject * (*)(void) ) greenlet_api[GREENLET_GET_CURRENT])())

static PyObject *str_locals, *str_number, *str_enter, *str_dict;

typedef struct {
    PyObject_HEAD
    PyObject *values; /* a dict: the number of a greenlet's token -> its values, a dict */
} Local;

/* The current greenlet's values; a new reference. */
static PyObject *
values_here(Local *self)
{
    if (self->values == NULL || !PyDict_Check(self->values)) {
        PyErr_SetString(PyExc_RuntimeError, "a local was used before its __new__ was called");
        return NULL;
    }
    PyObject *me = greenlet_current(), *token = NULL, *number = NULL, *mine = NULL;
    if (me == NULL)
        return NULL;
    token = PyObject_GetAttr(me, str_locals);
    Py_DECREF(me);
    if (token != NULL)
        number = PyObject_GetAttr(token, str_number);
    if (number != NULL)
        mine = Py_XNewRef(PyDict_GetItemWithError(self->values, number));
    Py_XDECREF(token);
    Py_XDECREF(number);
    if (mine != NULL)
        return mine;
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) /* it has no token yet, or None for one */
            return NULL;
        PyErr_Clear();
    }
    mine = PyObject_CallMethodOneArg(self->values, str_enter, (PyObject *) self);
    if (mine != NULL && !PyDict_Check(mine)) {
        PyErr_SetString(PyExc_TypeError, "the values of a local are a dict");
        Py_CLEAR(mine);
    }
    return mine;
}

static PyObject *
local_getattro(Local *self, PyObject *name)
{
    PyObject *mine = values_here(self), *value;
    if (mine == NULL)
        return NULL;
    value = Py_XNewRef(PyDict_GetItemWithError(mine, name));
    if (value == NULL && !PyErr_Occurred()) {
        if (PyUnicode_Check(name) && PyUnicode_Compare(name, str_dict) == 0)
            return mine;
        value = PyObject_GenericGetAttr((PyObject *) self, name);
    }
    Py_DECREF(mine);
    return value;
}

/* Whether the class has something to say when this is set: a property, a slot. -1: it is refused. */
static int
is_shared(Local *self, PyObject *name)
{
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "attribute name must be string, not '%.200s'", Py_TYPE(name)->tp_name);
        return -1;
    }
    if (PyUnicode_Compare(name, str_dict) == 0) {
        PyErr_Format(PyExc_AttributeError, "'%.100s' object attribute '__dict__' is read-only", Py_TYPE(self)->tp_name);
        return -1;
    }
    PyObject *found = _PyType_Lookup(Py_TYPE(self), name);
    return found != NULL && Py_TYPE(found)->tp_descr_set != NULL;
}

static int
local_setattro(Local *self, PyObject *name, PyObject *value)
{
    PyObject *mine = values_here(self);
    if (mine == NULL)
        return -1;
    int failed, shared = is_shared(self, name);
    if (shared != 0) {
        failed = shared < 0 ? -1 : PyObject_GenericSetAttr((PyObject *) self, name, value);
    } else if (value != NULL) {
        failed = PyDict_SetItem(mine, name, value);
    } else {
        failed = PyDict_DelItem(mine, name);
        if (failed && PyErr_ExceptionMatches(PyExc_KeyError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute %R", Py_TYPE(self)->tp_name, name);
        }
    }
    Py_DECREF(mine);
    return failed;
}

static int
local_traverse(Local *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->values);
    return 0;
}

static int
local_clear(Local *self)
{
    Py_CLEAR(self->values);
    return 0;
}

static void
local_dealloc(Local *self)
{
    PyTypeObject *class = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    local_clear(self);
    class->tp_free(self);
    Py_DECREF(class);
}

static PyMemberDef local_members[] = {
    {"_local__values", T_OBJECT_EX, offsetof(Local, values), 0,
     PyDoc_STR("The values it has, by the number of the greenlet's token.")},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot local_slots[] = {
    {Py_tp_doc, (void *) PyDoc_STR("An object whose attributes are looked up among the current greenlet's.")},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, local_dealloc},
    {Py_tp_traverse, local_traverse},
    {Py_tp_clear, local_clear},
    {Py_tp_getattro, local_getattro},
    {Py_tp_setattro, local_setattro},
    {Py_tp_members, local_members},
    {0, NULL},
};

static PyType_Spec local_spec = {
    .name = "greenscope.runtime._local.Base",
    .basicsize = sizeof(Local),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = local_slots,
};

static int
module_exec(PyObject *module)
{
    greenlet_api = PyCapsule_Import("greenlet._C_API", 0);
    str_locals = PyUnicode_InternFromString("_locals");
    str_number = PyUnicode_InternFromString("number");
    str_enter = PyUnicode_InternFromString("enter");
    str_dict = PyUnicode_InternFromString("__dict__");
    if (greenlet_api == NULL || str_locals == NULL || str_number == NULL || str_enter == NULL || str_dict == NULL)
        return -1;
    PyObject *base = PyType_FromSpec(&local_spec);
    int failed = base == NULL ? -1 : PyModule_AddObjectRef(module, "Base", base);
    Py_XDECREF(base);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "greenscope.runtime._local",
    .m_doc = PyDoc_STR("Setting and getting an attribute of a local, in C."),
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__local(void)
{
    return PyModuleDef_Init(&module_def);
}
