/* What _parking.c is made of: its structures, greenlet's interface, and how the recorder is told.
 *
 * Included once, there; the three files are one module, cut where its subject changes.
 */
#ifndef GREENSCOPE_PARKING_H
#define GREENSCOPE_PARKING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stddef.h>
#include <time.h>

/* greenlet's C interface is a capsule with an array of functions. Its header is not where a build can
 * count on finding it, so the two that are used are declared here (greenlet.h of greenlet 3). */
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

/* Numbers of Wait and Ready in trace/events.py; waiter.py hands them over. */
static PyObject *wait_yield, *ready_other, *ready_greenlet;

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
    PyObject *record_give_way;
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
                        : record(function, (PyObject *[]) {NULL, __VA_ARGS__}, \
                                 sizeof((PyObject *[]) {__VA_ARGS__}) / sizeof(PyObject *)))

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

#endif
