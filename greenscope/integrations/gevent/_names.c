/* What greenlets are called: by the name that the program gave one, or that of the thread that it is, or else after its
 * function, as the runtime's are.
 */
#include "_gevent.h"

static PyObject *str_run, *str_qualname, *str_name, *str_func, *str_module, *str_args, *str_gevent, *str_getattr,
    *str_getattribute;

/* Whether the program itself answers for attributes that are asked of such an object. */
static int
answers(PyTypeObject *type)
{
    PyObject *all = _PyType_Lookup(type, str_getattribute);
    return _PyType_Lookup(type, str_getattr) != NULL || (all != NULL && PyFunction_Check(all));
}

/* An attribute; NULL and no error if there is none. A program that answers for them is not asked: it may do anything.
 */
PyObject *
attribute(PyObject *object, PyObject *name)
{
    PyObject *value = answers(Py_TYPE(object)) ? PyObject_GenericGetAttr(object, name) : PyObject_GetAttr(object, name);
    if (value == NULL)
        PyErr_Clear();
    return value;
}

/* The same of a greenlet of gevent's, by gevent's own class, whatever the program's has under that name. */
PyObject *
own_attribute(PyObject *greenlet, PyObject *name)
{
    PyObject *found = _PyType_Lookup(greenlet_type, name), *value = NULL; /* borrowed */
    descrgetfunc get = found != NULL ? Py_TYPE(found)->tp_descr_get : NULL;
    if (get != NULL && (value = get(found, greenlet, (PyObject *) Py_TYPE(greenlet))) == NULL)
        PyErr_Clear();
    return value;
}

/* What a function is called, as the runtime has it; a new reference, or NULL. */
static PyObject *
title_of(PyObject *function)
{
    PyObject *title = attribute(function, str_qualname), *inner;
    if (title == NULL && (inner = attribute(function, str_func)) != NULL) { /* functools.partial */
        title = attribute(inner, str_qualname);
        Py_DECREF(inner);
    }
    if (title == NULL)
        title = attribute((PyObject *) Py_TYPE(function), str_qualname);
    if (title != NULL && !PyUnicode_Check(title))
        Py_CLEAR(title);
    return title;
}

/* The function of a greenlet of gevent's; where that is gevent's own, the program's function that it is given to call,
 * as a server's are. A new reference, or NULL. */
static PyObject *
function_of(PyObject *greenlet)
{
    PyObject *function = attribute(greenlet, str_run), *args, *first;
    PyObject *module = function != NULL ? attribute(function, str_module) : NULL;
    int own = module != NULL && PyUnicode_Check(module) &&
              PyUnicode_Tailmatch(module, str_gevent, 0, PY_SSIZE_T_MAX, -1) == 1;
    Py_XDECREF(module);
    if (own && (args = attribute(greenlet, str_args)) != NULL) {
        first = PyTuple_Check(args) && PyTuple_GET_SIZE(args) ? PyTuple_GET_ITEM(args, 0) : NULL;
        if (first != NULL && PyCallable_Check(first))
            Py_SETREF(function, Py_NewRef(first));
        Py_DECREF(args);
    }
    return function;
}

/* The name of the thread that a greenlet is, in a patched program; NULL: it is none. */
static PyObject *
thread_name(PyObject *function)
{
    PyObject *name = NULL;
    if (PyMethod_Check(function) && PyFunction_Check(PyMethod_GET_FUNCTION(function)) &&
        PyUnicode_CompareWithASCIIString(((PyFunctionObject *) PyMethod_GET_FUNCTION(function))->func_qualname,
                                         "Thread._bootstrap") == 0)
        name = attribute(PyMethod_GET_SELF(function), str_name);
    if (name != NULL && !PyUnicode_Check(name))
        Py_CLEAR(name);
    return name;
}

/* Its name, and whether that is its function's. One that the program gave it is in its dictionary. */
uint32_t
name_of(PyObject *greenlet, Thread *thread, int *numbered)
{
    PyObject *name = NULL, *function, **dict = _PyObject_GetDictPtr(greenlet);
    uint32_t string = 0;
    *numbered = 1;
    if (dict != NULL && *dict != NULL && (name = PyDict_GetItemWithError(*dict, str_name)) != NULL &&
        PyUnicode_Check(name)) {
        *numbered = 0;
        return ring->string(thread->ring, name);
    }
    PyErr_Clear();
    function = PyObject_TypeCheck(greenlet, greenlet_type) ? function_of(greenlet) : NULL;
    if (function != NULL && (name = thread_name(function)) != NULL)
        *numbered = 0;
    else
        name = function != NULL ? title_of(function) : PyUnicode_FromString("raw greenlet");
    Py_XDECREF(function);
    if (name != NULL)
        string = ring->string(thread->ring, name);
    else
        PyErr_Clear();
    Py_XDECREF(name);
    return string;
}

int
names_ready(void)
{
    struct {
        PyObject **place;
        const char *text;
    } names[] = {{&str_run, "_run"},       {&str_qualname, "__qualname__"}, {&str_name, "name"},
                 {&str_func, "func"},      {&str_module, "__module__"},     {&str_args, "args"},
                 {&str_gevent, "gevent."}, {&str_getattr, "__getattr__"},   {&str_getattribute, "__getattribute__"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((*names[i].place = PyUnicode_InternFromString(names[i].text)) == NULL)
            return -1;
    return 0;
}
