/* What _parking.c is made of: its structures, greenlet's interface, and how the recorder is told.
 *
 * Included once, there; the three files are one module, cut where its subject changes.
 */
#ifndef GREENSCOPE_PARKING_H
#define GREENSCOPE_PARKING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "../trace/_ring_api.h"

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

static PyObject *str_state, *str_state_of, *str_due, *str_granted, *str_wake, *str_arm, *str_refuse, *str_refuse_switch,
    *str_special, *str_several, *str_appendleft;
static PyObject *no_bytes;
static PyTypeObject *state_type, *wakeable_type, *waiter_type, *place_type, *board_type, *armed_type;

/* Numbers of Wait, Ready and Timeouts in trace/events.py; waiter.py hands them over. */
static int wait_yield, ready_other, ready_greenlet, timeouts_socket;

/* NULL where the ring is the Python twin. */
static const RingAPI *ring_api;

typedef struct {
    PyObject_HEAD
    PyObject *hub;
    PyObject *timeouts; /* list; NULL: nobody has asked for it */
    PyObject *waiting_on;
    PyObject *yielder;
    struct Board *board;
    unsigned long long handle;
    unsigned int timeout_number; /* of the timeout of the wait that it is in, until it fires; 0: it has none */
} State;

typedef struct {
    PyObject_HEAD
    PyObject *greenlet;
    State *state;
    PyObject *exception;
    PyObject *peer;
    PyObject *descriptor;
    long long resource;
    int reason;
    int fd;
    int mask;
    char stopped; /* the hub has recorded that its wait is over, with the switch */
    char waits;   /* somebody is parked on it by wait_io */
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
    const RingAPI *ring; /* of the recorder, if it is in C */
    PyObject *append;
    PyObject *popleft;
    Py_ssize_t active;
    Py_ssize_t rounds;
    unsigned long thread;
    char closed;
    char recording;
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

/* -- when a wait is over at the latest ----------------------------------------------------------- */

/* The class of the last timeout that was asked, and where its instances have the slots `due` and `granted`. */
static PyTypeObject *due_type;
static Py_ssize_t due_offset, granted_offset;

/* Where instances of a class have a slot; -1: elsewhere, if at all. */
static Py_ssize_t
slot_offset(PyTypeObject *class, PyObject *name)
{
    PyObject *found = _PyType_Lookup(class, name);
    if (found != NULL && Py_IS_TYPE(found, &PyMemberDescr_Type) &&
        ((PyMemberDescrObject *) found)->d_member->type == T_OBJECT_EX && PyType_IsSubtype(class, PyDescr_TYPE(found)))
        return ((PyMemberDescrObject *) found)->d_member->offset;
    return -1;
}

/* When a timeout is due: its slot is read where it is, which a descriptor takes several times as long for. -1.0 with
 * an error set. */
static double
due_of(PyObject *timeout)
{
    Py_ssize_t due_at = slot_offset(Py_TYPE(timeout), str_due), granted_at = slot_offset(Py_TYPE(timeout), str_granted);
    if (due_at >= 0 && granted_at >= 0) {
        due_offset = due_at;
        granted_offset = granted_at;
        Py_XSETREF(due_type, (PyTypeObject *) Py_NewRef((PyObject *) Py_TYPE(timeout)));
    }
    PyObject *due = PyObject_GetAttr(timeout, str_due);
    double seconds = due == NULL ? -1.0 : PyFloat_AsDouble(due);
    Py_XDECREF(due);
    return seconds;
}

static inline uint64_t
in_ns(double seconds)
{
    return seconds < 1e-9 ? 1 : seconds < 9e9 ? (uint64_t) (seconds * 1e9) : (uint64_t) 9e18;
}

static int due_of_several(State *state, uint64_t *due);

/* When the first of the greenlet's timeouts is due, in nanoseconds; 0 if it has none. */
static inline int
due_ns(State *state, uint64_t *due)
{
    *due = 0;
    if (state->timeouts == NULL || PyList_GET_SIZE(state->timeouts) == 0)
        return 0;
    if (PyList_GET_SIZE(state->timeouts) == 1) { /* nearly always, and of the class that it was before */
        PyObject *timeout = PyList_GET_ITEM(state->timeouts, 0);
        PyObject *found = Py_IS_TYPE(timeout, due_type) ? *(PyObject **) ((char *) timeout + due_offset) : NULL;
        if (found != NULL && PyFloat_CheckExact(found)) {
            *due = in_ns(PyFloat_AS_DOUBLE(found));
            return 0;
        }
    }
    return due_of_several(state, due);
}

/* How many milliseconds the last of the greenlet's timeouts, which is of one wait, was to last; -1: there is none, or
 * an error is set. */
static inline int64_t
granted_by_last(State *state)
{
    Py_ssize_t count = state->timeouts == NULL ? 0 : PyList_GET_SIZE(state->timeouts);
    if (count == 0)
        return -1;
    PyObject *timeout = PyList_GET_ITEM(state->timeouts, count - 1);
    PyObject *found = Py_IS_TYPE(timeout, due_type) ? *(PyObject **) ((char *) timeout + granted_offset) : NULL;
    if (found == NULL || !PyLong_CheckExact(found))
        found = PyObject_GetAttr(timeout, str_granted);
    else
        Py_INCREF(found);
    int64_t granted = found == NULL ? -1 : PyLong_AsLongLong(found);
    Py_XDECREF(found);
    return granted;
}

static int __attribute__((noinline))
due_of_several(State *state, uint64_t *due)
{
    PyObject *timeouts = Py_NewRef(state->timeouts);
    double first = 0.0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(timeouts); i++) {
        PyObject *timeout = Py_NewRef(PyList_GET_ITEM(timeouts, i));
        double seconds = due_of(timeout);
        Py_DECREF(timeout);
        if (seconds == -1.0 && PyErr_Occurred()) {
            Py_DECREF(timeouts);
            return -1;
        }
        if (i == 0 || seconds < first)
            first = seconds;
    }
    Py_DECREF(timeouts);
    *due = in_ns(first);
    return 0;
}

/* Milliseconds until then, at least 1; 0 for never. */
static unsigned long long
ms_until(uint64_t due)
{
    struct timespec now;
    if (due == 0)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t) now.tv_sec * UINT64_C(1000000000) + (uint64_t) now.tv_nsec;
    return due <= now_ns + 1000 ? 1 : (due - now_ns + 999000) / 1000000;
}

/* -- recording -------------------------------------------------------------------------------- */

/* Each says what happened by the ring's C interface, or else by the method of the same name. -1: an error is set. */
#define TELL(board, in_c, ...) \
    do { \
        if (!(board)->recording) \
            return 0; \
        if ((board)->ring != NULL) { \
            (board)->ring->in_c; \
            return 0; \
        } \
        TELL_PYTHON(board, __VA_ARGS__); \
    } while (0)

#define TELL_PYTHON(board, ...) \
    do { \
        PyObject *done = PyObject_CallMethod((board)->recorder, __VA_ARGS__); \
        Py_XDECREF(done); \
        return done == NULL ? -1 : 0; \
    } while (0)

/* A timeout of so many milliseconds begins: its number, by the method of that name. -1: an error is set. */
static int __attribute__((noinline))
record_timeout(Board *board, State *state, int64_t granted)
{
    PyObject *found = PyObject_CallMethod(board->recorder, "timeout_start", "iL", timeouts_socket, (long long) granted);
    unsigned long number = found == NULL ? 0 : PyLong_AsUnsignedLongMask(found);
    Py_XDECREF(found);
    if (PyErr_Occurred())
        return -1;
    state->timeout_number = (unsigned int) number;
    return 0;
}

/* `granted`: milliseconds of the timeout of this wait only; -1: it has none. */
static inline int
record_wait(Board *board, Wakeable *entry, State *state, uint64_t due, int64_t granted)
{
    if (!board->recording)
        return 0;
    if (board->ring != NULL) {
        state->timeout_number = board->ring->wait(board->recorder, entry->reason, (uint32_t) entry->resource, entry->fd,
                                                  due, granted, entry->peer);
        return 0;
    }
    state->timeout_number = 0;
    if (granted >= 0 && record_timeout(board, state, granted) < 0)
        return -1;
    TELL_PYTHON(board, "wait", "iLiKO", entry->reason, entry->resource, entry->fd, ms_until(due),
                entry->peer != NULL ? entry->peer : no_bytes);
}

/* The timeout of a wait that is over, if it has not fired. */
static inline int
record_cancel(Board *board, State *state)
{
    unsigned int timeout = state->timeout_number;
    state->timeout_number = 0;
    TELL(board, timeout_cancel(board->recorder, timeout), "timeout_cancel", "iI", timeouts_socket, timeout);
}

static inline int
record_park(Board *board, Wakeable *entry, uint64_t due)
{
    TELL(board, park(board->recorder, entry->reason, (uint32_t) entry->resource, entry->fd, due), "park", "iLiKO",
         entry->reason, entry->resource, entry->fd, ms_until(due), no_bytes);
}

static inline int
record_give_way(Board *board, State *state, uint64_t due)
{
    TELL(board, give_way(board->recorder, state->handle, due), "give_way", "KK", state->handle, ms_until(due));
}

static inline int
record_ready(Board *board, State *state, int reason, uint64_t by)
{
    TELL(board, ready(board->recorder, state->handle, reason, by), "ready", "KiK", state->handle, reason,
         (unsigned long long) by);
}

static inline int
record_fire(Board *board, Wakeable *entry)
{
    TELL(board, fire(board->recorder, entry->state->handle, entry->reason, (uint32_t) entry->resource, entry->fd),
         "fire", "KiLi", entry->state->handle, entry->reason, entry->resource, entry->fd);
}

static inline int
record_stop(Board *board, Wakeable *entry)
{
    TELL(board, watcher_stop(board->recorder, entry->reason, (uint32_t) entry->resource, entry->fd), "watcher_stop",
         "iLi", entry->reason, entry->resource, entry->fd);
}

static inline int
record_run(Board *board, State *state)
{
    TELL(board, run(board->recorder, state->handle), "switch", "K", state->handle);
}

/* The switch, and the end of the watcher's wait and of its timeout, which is what the greenlet would say first. */
static inline int
record_resume(Board *board, Wakeable *entry)
{
    State *state = entry->state;
    if (board->ring == NULL)
        TELL_PYTHON(board, "switch", "K", state->handle);
    unsigned int timeout = state->timeout_number;
    state->timeout_number = 0;
    entry->stopped = 1;
    board->ring->resume(board->recorder, state->handle, entry->reason, (uint32_t) entry->resource, entry->fd, timeout);
    return 0;
}

/* Who runs, for the record of whom it wakes. */
static inline int
current_handle(Board *board, uint64_t *handle)
{
    *handle = 0;
    if (!board->recording)
        return 0;
    if (board->ring != NULL) {
        *handle = board->ring->current(board->recorder);
        return 0;
    }
    PyObject *current = PyObject_GetAttrString(board->recorder, "current");
    if (current == NULL)
        return -1;
    *handle = PyLong_AsUnsignedLongLongMask(current);
    Py_DECREF(current);
    return PyErr_Occurred() ? -1 : 0;
}

#endif
