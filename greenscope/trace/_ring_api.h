/* The ring's interface for C: what the runtime's hot half of a wait calls for each request.
 *
 * As the methods of the same names, without objects for numbers, and with the time at which the first timeout is
 * due (0: there is none), where those take milliseconds: so the clock is read once. Beyond them, a socket's timeout
 * is recorded with the wait that it is for: `wait` is told how long it is (-1: there is none) and returns its number,
 * which `resume` takes, or `timeout_cancel`, where the wait ended otherwise and it had not fired. The capsule is
 * RING_API_CAPSULE. None of these raises, none runs Python code, and all return at once when the ring is detached.
 */
#ifndef GREENSCOPE_RING_API_H
#define GREENSCOPE_RING_API_H

#include <Python.h>

#include <stdint.h>

#define RING_API_CAPSULE "greenscope.trace._ring._API"

typedef struct {
    PyTypeObject *type; /* of what the others take as `ring` */
    uint32_t (*wait)(PyObject *ring, int reason, uint32_t resource, int fd, uint64_t due_ns, int64_t timeout_ms,
                     PyObject *peer);
    void (*park)(PyObject *ring, int reason, uint32_t resource, int fd, uint64_t due_ns);
    void (*give_way)(PyObject *ring, uint64_t handle, uint64_t due_ns);
    void (*ready)(PyObject *ring, uint64_t handle, int reason, uint64_t by);
    void (*fire)(PyObject *ring, uint64_t handle, int watch, uint32_t resource, int fd);
    void (*run)(PyObject *ring, uint64_t handle); /* switch */
    /* switch, watcher_stop, and timeout_cancel, unless `timeout` is 0 */
    void (*resume)(PyObject *ring, uint64_t handle, int watch, uint32_t resource, int fd, uint32_t timeout);
    void (*watcher_stop)(PyObject *ring, int watch, uint32_t resource, int fd);
    void (*timeout_cancel)(PyObject *ring, uint32_t timeout);
    uint64_t (*current)(PyObject *ring);
    /* Of whoever is not the one that runs, or does not run there: the site of a place in a code object (0: it is our
     * own, or there is no room), and whether one had rather have another; and a park there. */
    uint32_t (*site)(PyObject *ring, PyCodeObject *code, int lasti, int *plumbing);
    void (*park_there)(PyObject *ring, uint32_t site, int reason, uint32_t resource, int fd, uint64_t deadline_ms);
} RingAPI;

#endif
