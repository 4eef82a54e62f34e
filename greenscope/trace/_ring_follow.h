/* The ring's interface for whoever follows another library's greenlets, and tells of their steps from outside.
 *
 * The runtime says what happens as it happens, about what runs. Who follows hears of a switch when it is over, so it
 * says about whom, where that one stands, and, of what came before (what made it ready), when. As with _ring_api.h:
 * none of these raises, none runs Python code but for the names of code and files that are new, and all return at
 * once when the ring is detached. Handles are a ring's; 0 stands for nothing.
 */
#ifndef GREENSCOPE_RING_FOLLOW_H
#define GREENSCOPE_RING_FOLLOW_H

#include <Python.h>

#include <stdint.h>

#define RING_FOLLOW_CAPSULE "greenscope.trace._ring._FOLLOW"

/* That the greenlet that ran waits now. */
typedef struct {
    PyObject *frame; /* its innermost frame, an object; NULL: not known */
    int reason;      /* Wait */
    uint32_t resource;
    int fd; /* -1: none; of a wait for one greenlet, that one's number - 1 */
    uint64_t deadline_ms;
    const char *peer;
    size_t peer_length;
    int origin;    /* Origin, of the peer */
    int watch;     /* its watcher starts with that: Watch; 0: none does */
    uint32_t high; /* of the watcher's records: its descriptor, or milliseconds */
} RingPark;

/* That a greenlet runs now. */
typedef struct {
    uint64_t handle;
    int reason;        /* Ready: what made it ready; -1: that was said */
    uint64_t by;       /* its number */
    uint64_t ready_ns; /* when, if that was before; 0: now. Never before it began to wait. */
    int watch;         /* its watcher fired, unless it throws, and stops: Watch; 0: it has none */
    uint32_t resource;
    uint32_t high;
    int throws; /* an exception is raised in it */
} RingRun;

typedef struct {
    PyTypeObject *type; /* of what the others take as `ring` */
    uint64_t (*now)(PyObject *ring);
    uint32_t (*string)(PyObject *ring, PyObject *text);
    uint32_t (*resource)(PyObject *ring);
    uint64_t (*current)(PyObject *ring);
    /* A greenlet, begun by `parent`; `here`: at the line that runs. Returns its handle. */
    uint64_t (*spawn)(PyObject *ring, int reason, uint32_t name, int numbered, uint64_t parent, int here);
    void (*ready)(PyObject *ring, uint64_t handle, int reason, uint64_t by);
    uint64_t (*park)(PyObject *ring, const RingPark *park); /* when that was */
    void (*run)(PyObject *ring, const RingRun *run);
    void (*exit)(PyObject *ring, uint64_t handle, int how);
    uint32_t (*watcher_open)(PyObject *ring, int watch, int origin, uint32_t fd, const char *peer, size_t length);
    /* Any other record of a watcher, by its kind, about what runs. */
    void (*watcher)(PyObject *ring, int kind, int watch, uint32_t resource, uint32_t high);
    uint32_t (*timeout_start)(PyObject *ring, int reason, uint64_t milliseconds);
    void (*timeout_fire)(PyObject *ring, uint64_t handle, int reason, uint32_t timeout);
    void (*timeout_cancel)(PyObject *ring, int reason, uint32_t timeout);
    void (*poll_begin)(PyObject *ring, int blocks);
    uint64_t (*poll_end)(PyObject *ring, uint64_t fired); /* when it was */
    void (*acquire)(PyObject *ring, uint64_t handle, int what, int earlier, uint32_t resource, uint32_t left);
    void (*release)(PyObject *ring, int what, uint32_t resource, uint32_t left);
    /* Whom a wait for one greenlet is up to is another one now; 0: not known. */
    void (*awaits)(PyObject *ring, uint64_t handle, uint32_t resource, uint64_t whom);
    int (*detail)(PyObject *ring); /* Detail: how much is recorded */
    /* Have the watchdog know greenlets by this: a handle, and the hub's number. */
    void (*know)(uint64_t (*lookup)(PyObject *greenlet, uint32_t *hub));
} RingFollow;

#endif
