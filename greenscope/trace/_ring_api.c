/* The ring's interface for C, which _ring_api.h describes: the steps, without objects for numbers. */
#include "_ring_api.h"

#include "_ring_steps.h"

#define RING_OR_RETURN(object) \
    Ring *ring = (Ring *) (object); \
    if (ring->base == NULL) \
    return

/* Milliseconds until then, at least 1; 0 for never. What is due is so by the real clock, though a test has its own. */
static inline uint64_t
ms_until(Ring *ring, uint64_t due_ns, uint64_t now)
{
    if (due_ns == 0)
        return 0;
    if (ring->clock.test_ns)
        now = real_ns();
    return due_ns <= now + 1000 ? 1 : (due_ns - now + 999000) / 1000000;
}

static uint32_t
api_wait(PyObject *self, int reason, uint32_t resource, int fd, uint64_t due_ns, int64_t timeout_ms, PyObject *peer)
{
    RING_OR_RETURN(self) 0;
    Moment here = moment(ring);
    Waiting waiting = {(uint64_t) reason, resource, (uint64_t) fd, ms_until(ring, due_ns, here.now), "", 0};
    if (peer != NULL && PyBytes_Check(peer)) {
        waiting.peer = PyBytes_AS_STRING(peer);
        waiting.peer_length = PyBytes_GET_SIZE(peer);
    }
    return wait_from(ring, here, &waiting, timeout_ms);
}

static void
api_park(PyObject *self, int reason, uint32_t resource, int fd, uint64_t due_ns)
{
    RING_OR_RETURN(self);
    Moment here = moment(ring);
    park_from(ring, here.now,
              &(Waiting){(uint64_t) reason, resource, (uint64_t) fd, ms_until(ring, due_ns, here.now), "", 0},
              here.site);
}

static void
api_give_way(PyObject *self, uint64_t handle, uint64_t due_ns)
{
    RING_OR_RETURN(self);
    Moment here = moment(ring);
    give_way(ring, here, handle, ms_until(ring, due_ns, here.now));
}

static void
api_ready(PyObject *self, uint64_t handle, int reason, uint64_t by)
{
    RING_OR_RETURN(self);
    ready_by(ring, handle, (uint64_t) reason, by);
}

static void
api_fire(PyObject *self, uint64_t handle, int watch, uint32_t resource, int fd)
{
    RING_OR_RETURN(self);
    fire(ring, handle, (uint64_t) watch, resource, (uint64_t) fd);
}

static void
api_run(PyObject *self, uint64_t handle)
{
    RING_OR_RETURN(self);
    run_at(ring, now_ns(ring), handle, GS_KIND_GREENLET_SWITCH);
    publish(ring);
}

static void
api_resume(PyObject *self, uint64_t handle, int watch, uint32_t resource, int fd, uint32_t timeout)
{
    RING_OR_RETURN(self);
    resume(ring, handle, (uint8_t) watch, pack(resource, (uint64_t) fd), timeout);
}

static void
api_watcher_stop(PyObject *self, int watch, uint32_t resource, int fd)
{
    RING_OR_RETURN(self);
    record(ring, now_ns(ring), ring->current, GS_KIND_WATCHER_STOP, (uint8_t) watch, 0, 0,
           pack(resource, (uint64_t) fd));
}

static void
api_timeout_cancel(PyObject *self, uint32_t timeout)
{
    RING_OR_RETURN(self);
    cancel(ring, GS_TIMEOUTS_SOCKET, timeout);
}

static uint64_t
api_current(PyObject *self)
{
    return ((Ring *) self)->current;
}

static uint32_t
api_site(PyObject *self, PyCodeObject *code, int lasti, int *plumbing)
{
    *plumbing = 0;
    RING_OR_RETURN(self) 0;
    return ring_site_of(ring, code, lasti, plumbing);
}

static void
api_park_there(PyObject *self, uint32_t site, int reason, uint32_t resource, int fd, uint64_t deadline_ms)
{
    RING_OR_RETURN(self);
    park_from(ring, now_ns(ring), &(Waiting){(uint64_t) reason, resource, (uint64_t) fd, deadline_ms, "", 0}, site);
}

RingAPI ring_interface = {
    .wait = api_wait,
    .park = api_park,
    .give_way = api_give_way,
    .ready = api_ready,
    .fire = api_fire,
    .run = api_run,
    .resume = api_resume,
    .watcher_stop = api_watcher_stop,
    .timeout_cancel = api_timeout_cancel,
    .current = api_current,
    .site = api_site,
    .park_there = api_park_there,
};
