/* A program that runs on gevent, in the recording: the half of the integration that every switch goes through.
 *
 * There is no twin in Python: a tracer in Python would cost a program several times what all the rest of a switch
 * does. Where this module is missing, __init__.py says so.
 */
#include "_gevent.h"

const RingFollow *ring;
void **greenlet_api;
PyTypeObject *hub_type, *greenlet_type, *waiter_type;
PyObject *timeout_expires;

/* know(Hub, Greenlet, Waiter, on_expiration): gevent's own. */
static PyObject *
know(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *hub, *greenlet, *waiter, *expires;
    if (!PyArg_ParseTuple(args, "O!O!O!O:know", &PyType_Type, &hub, &PyType_Type, &greenlet, &PyType_Type, &waiter,
                          &expires))
        return NULL;
    Py_XSETREF(hub_type, (PyTypeObject *) Py_NewRef(hub));
    Py_XSETREF(greenlet_type, (PyTypeObject *) Py_NewRef(greenlet));
    Py_XSETREF(waiter_type, (PyTypeObject *) Py_NewRef(waiter));
    Py_XSETREF(timeout_expires, Py_NewRef(expires));
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"know", know, METH_VARARGS, PyDoc_STR("know(Hub, Greenlet, Waiter, on_expiration): gevent's own.")},
    {"know_code", know_code, METH_VARARGS, PyDoc_STR("know_code(code, reason): who parks there waits for that.")},
    {"begin", thread_begin, METH_VARARGS, PyDoc_STR("begin(recorder, number): this thread's hub, and its ring.")},
    {"end", thread_end, METH_NOARGS, PyDoc_STR("end(): this thread's hub is gone; the tracer before ours, or None.")},
    {"left", thread_left, METH_NOARGS, PyDoc_STR("left(): this process is a fork, and all rings are its parent's.")},
    {"on_fork", on_fork, METH_O, PyDoc_STR("on_fork(function): what opens a ring in a fork, in its first poll.")},
    {"switched", switched, METH_VARARGS, PyDoc_STR("switched(event, greenlets): greenlet's tracer.")},
    {"chain", chain, METH_O, PyDoc_STR("chain(tracer): what to call after ours, in this thread; None: nothing.")},
    {"spawned", spawned, METH_O, PyDoc_STR("spawned(greenlet): gevent has started it, to run soon.")},
    {"left_by", left_by, METH_NOARGS,
     PyDoc_STR("left_by(): whom the main greenlet's wait comes down to (a handle), and how many wait; None: it waits"
               " for the end of everything.")},
    {"handle_of", handle_of, METH_O, PyDoc_STR("handle_of(greenlet): its handle in the ring; 0: it is not known.")},
    {"loop_class", loop_class, METH_O,
     PyDoc_STR("loop_class(corecext): a class of loops whose watchers are recorded.")},
    {"poll_begins", poll_begins, METH_NOARGS, PyDoc_STR("poll_begins(): the loop is about to ask the kernel.")},
    {"poll_ends", poll_ends, METH_O, PyDoc_STR("poll_ends(loop): the kernel has answered.")},
    {"tell", tell, METH_VARARGS, PyDoc_STR("tell(class, name, role, reason, kind): a method notes what it waits for.")},
    {"telling", telling, METH_VARARGS, PyDoc_STR("telling(function, role, reason, kind): the same for a function.")},
    {"job", job, METH_O, PyDoc_STR("job(function): the same to call; began_ns says when it was.")},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "greenscope.integrations.gevent._gevent",
    .m_doc = PyDoc_STR("A program that runs on gevent, in the recording."),
    .m_size = -1,
    .m_methods = module_methods,
};

PyMODINIT_FUNC
PyInit__gevent(void)
{
    PyObject *made, *trace = PyImport_ImportModule("greenscope.trace._ring"), *capsule;
    capsule = trace != NULL ? PyObject_GetAttrString(trace, "_FOLLOW") : NULL;
    ring = capsule != NULL ? PyCapsule_GetPointer(capsule, RING_FOLLOW_CAPSULE) : NULL;
    Py_XDECREF(capsule);
    Py_XDECREF(trace);
    if (ring == NULL)
        return NULL;
    greenlet_api = PyCapsule_Import("greenlet._C_API", 0);
    if (greenlet_api == NULL || (made = PyModule_Create(&module)) == NULL)
        return NULL;
    if (greenlets_ready(made) < 0 || told_ready(made) < 0 || switches_ready() < 0 || watchers_ready() < 0)
        Py_CLEAR(made);
    return made;
}
