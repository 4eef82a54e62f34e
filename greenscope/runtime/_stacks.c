/* Memory for the stacks of Python frames, kept for the next greenlet.
 *
 * A greenlet that runs Python code has a chunk of 16 KiB of its own for its frames (CPython 3.11 and
 * later). The interpreter gets it from the kernel by mmap and gives it back by munmap when the greenlet
 * ends; with the page faults in between that is more than half of what it costs to spawn one. So the
 * chunks that come back are kept here, up to KEEP of them, and given out again.
 *
 * This goes in between by the interpreter's own means, the arena allocator, which anybody may replace.
 * What is not of that size is passed on: pymalloc's arenas are larger. Nothing relies on the chunks being
 * zero: the interpreter writes the head of each, and every frame's variables.
 *
 * The interpreter calls these with the GIL held. Should somebody not, the flag keeps two from meeting,
 * and whoever comes second does what is done without us.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>

#define CHUNK ((size_t) 16 * 1024)
#define KEEP  256

static PyObjectArenaAllocator below;
static void *kept[KEEP];
static int count;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static int
enter(void)
{
    return !atomic_flag_test_and_set_explicit(&busy, memory_order_acquire);
}

static void
leave(void)
{
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

static void *
take(void *Py_UNUSED(context), size_t size)
{
    if (size == CHUNK && enter()) {
        void *chunk = count > 0 ? kept[--count] : NULL;
        leave();
        if (chunk != NULL)
            return chunk;
    }
    return below.alloc(below.ctx, size);
}

static void
give_back(void *Py_UNUSED(context), void *chunk, size_t size)
{
    if (size == CHUNK && enter()) {
        int room = count < KEEP;
        if (room)
            kept[count++] = chunk;
        leave();
        if (room)
            return;
    }
    below.free(below.ctx, chunk, size);
}

static PyObject *
stacks_install(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    PyObjectArenaAllocator now;
    PyObject_GetArenaAllocator(&now);
    if (now.alloc != take) {
        below = now;
        PyObject_SetArenaAllocator(&(PyObjectArenaAllocator){&below, take, give_back});
    }
    Py_RETURN_NONE;
}

static PyObject *
stacks_kept(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyLong_FromLong(count);
}

static PyMethodDef methods[] = {
    {"install", stacks_install, METH_NOARGS, PyDoc_STR("Keep the chunks that come back from here on.")},
    {"kept", stacks_kept, METH_NOARGS, PyDoc_STR("How many are kept.")},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "greenscope.runtime._stacks",
    .m_doc = PyDoc_STR("Memory for the stacks of Python frames, kept for the next greenlet."),
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__stacks(void)
{
    return PyModule_Create(&module_def);
}
