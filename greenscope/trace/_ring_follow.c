/* The ring's interface for whoever follows another library's greenlets; _ring_follow.h describes it. */
#include "_ring_follow.h"

#include "_ring_steps.h"

#define RING_OR_RETURN(object) \
    Ring *ring = (Ring *) (object); \
    if (ring->base == NULL) \
    return

uint64_t (*ring_followed)(PyObject *greenlet, uint32_t *hub);

static uint64_t
follow_now(PyObject *self)
{
    return now_ns((Ring *) self);
}

static uint32_t
follow_string(PyObject *self, PyObject *text)
{
    RING_OR_RETURN(self) 0;
    return ring_intern(ring, text);
}

static uint32_t
follow_resource(PyObject *self)
{
    return take_resource((Ring *) self);
}

static uint64_t
follow_current(PyObject *self)
{
    return ((Ring *) self)->current;
}

static uint64_t
follow_spawn(PyObject *self, int reason, uint32_t name, int numbered, uint64_t parent, int here)
{
    RING_OR_RETURN(self) 0;
    return spawn_at(ring, now_ns(ring), (uint8_t) reason, name, numbered, parent & ID_MASK,
                    here ? ring_site_here(ring) : 0);
}

static void
follow_ready(PyObject *self, uint64_t handle, int reason, uint64_t by)
{
    RING_OR_RETURN(self);
    ready_by(ring, handle, (uint64_t) reason, by);
}

static uint64_t
follow_park(PyObject *self, const RingPark *park)
{
    RING_OR_RETURN(self) 0;
    uint64_t now = now_ns(ring), handle = ring->current;
    uint32_t site = park->frame != NULL ? ring_place_of(ring, park->frame) : 0;
    uint64_t origin = (uint64_t) park->origin << GS_RING_ORIGIN_SHIFT;
    Waiting waiting = {(uint64_t) park->reason | origin,
                       park->resource,
                       (uint64_t) park->fd,
                       park->deadline_ms,
                       park->peer != NULL ? park->peer : "",
                       (Py_ssize_t) park->peer_length};
    if (park->watch)
        put(ring, now, handle, GS_KIND_WATCHER_START, (uint8_t) park->watch, 0,
            ring->detail >= GS_DETAIL_TEACH ? site : 0, pack(park->resource, park->high));
    park_from(ring, now, &waiting, site);
    if (park->reason == GS_WAIT_YIELD)
        make_ready(ring, now, handle, GS_READY_YIELD, handle & ID_MASK);
    return now;
}

static void
follow_run(PyObject *self, const RingRun *run)
{
    RING_OR_RETURN(self);
    uint64_t now = now_ns(ring), at = run->ready_ns ? run->ready_ns : now;
    const Slot *slot = slot_of(ring, run->handle);
    if (slot != NULL && at < slot->since_ns)
        at = slot->since_ns;
    if (at > now) /* by another ring's clock */
        at = now;
    if (run->reason >= 0) {
        if (run->watch && !run->throws)
            put(ring, at, run->handle, GS_KIND_WATCHER_FIRE, (uint8_t) run->watch, 0, waits_at_if_taught(ring, slot),
                pack(run->resource, run->high));
        make_ready(ring, at, run->handle, (uint64_t) run->reason,
                   run->reason == GS_READY_WATCHER || run->reason == GS_READY_TIMEOUT ? run->by : run->by & ID_MASK);
    }
    run_at(ring, now, run->handle, run->throws ? GS_KIND_GREENLET_THROW : GS_KIND_GREENLET_SWITCH);
    if (run->watch)
        put(ring, now, run->handle, GS_KIND_WATCHER_STOP, (uint8_t) run->watch, 0, 0, pack(run->resource, run->high));
    publish(ring);
}

static void
follow_exit(PyObject *self, uint64_t handle, int how)
{
    RING_OR_RETURN(self);
    exit_at(ring, now_ns(ring), handle, how);
}

static uint32_t
follow_watcher_open(PyObject *self, int watch, int origin, uint32_t fd, const char *peer, size_t length)
{
    RING_OR_RETURN(self) 0;
    uint32_t resource = take_resource(ring);
    put(ring, now_ns(ring), ring->current, GS_KIND_WATCHER_OPEN, (uint8_t) watch, (uint16_t) origin,
        ring_site_here(ring), pack(resource, fd));
    put_text(ring, peer, length);
    publish(ring);
    return resource;
}

static void
follow_watcher(PyObject *self, int kind, int watch, uint32_t resource, uint32_t high)
{
    RING_OR_RETURN(self);
    record(ring, now_ns(ring), ring->current, (uint8_t) kind, (uint8_t) watch, 0, site_if_taught(ring),
           pack(resource, high));
}

static uint32_t
follow_timeout_start(PyObject *self, int reason, uint64_t milliseconds)
{
    RING_OR_RETURN(self) 0;
    return timeout_at(ring, (uint8_t) reason, milliseconds);
}

static void
follow_timeout_fire(PyObject *self, uint64_t handle, int reason, uint32_t timeout)
{
    RING_OR_RETURN(self);
    record(ring, now_ns(ring), handle, GS_KIND_TIMEOUT_FIRE, (uint8_t) reason, 0, 0, timeout);
}

static void
follow_timeout_cancel(PyObject *self, int reason, uint32_t timeout)
{
    RING_OR_RETURN(self);
    record(ring, now_ns(ring), ring->current, GS_KIND_TIMEOUT_CANCEL, (uint8_t) reason, 0, site_if_taught(ring),
           timeout);
}

static void
follow_poll_begin(PyObject *self, int blocks)
{
    RING_OR_RETURN(self);
    record(ring, now_ns(ring), ring->hub, GS_KIND_POLL_BEGIN, 0, (uint16_t) blocks, 0, 0);
}

static uint64_t
follow_poll_end(PyObject *self, uint64_t fired)
{
    RING_OR_RETURN(self) 0;
    uint64_t now = now_ns(ring);
    record(ring, now, ring->hub, GS_KIND_POLL_END, 0, (uint16_t) (fired > UINT16_MAX ? UINT16_MAX : fired), 0, 0);
    hear_if_asked(ring);
    return now;
}

static void
follow_acquire(PyObject *self, uint64_t handle, int what, int earlier, uint32_t resource, uint32_t left)
{
    RING_OR_RETURN(self);
    record(ring, now_ns(ring), handle ? handle : ring->current, GS_KIND_RESOURCE_ACQUIRE, (uint8_t) what,
           (uint16_t) earlier, earlier ? 0 : site_if_taught(ring), pack(resource, left));
}

static void
follow_release(PyObject *self, int what, uint32_t resource, uint32_t left)
{
    RING_OR_RETURN(self);
    record(ring, now_ns(ring), ring->current, GS_KIND_RESOURCE_RELEASE, (uint8_t) what, 0, site_if_taught(ring),
           pack(resource, left));
}

static void
follow_awaits(PyObject *self, uint64_t handle, uint32_t resource, uint64_t whom)
{
    RING_OR_RETURN(self);
    awaits(ring, handle, resource, whom & ID_MASK);
}

static int
follow_detail(PyObject *self)
{
    return ((Ring *) self)->detail;
}

static void
follow_know(uint64_t (*lookup)(PyObject *greenlet, uint32_t *hub))
{
    ring_followed = lookup;
}

RingFollow ring_follow_interface = {
    .now = follow_now,
    .string = follow_string,
    .resource = follow_resource,
    .current = follow_current,
    .spawn = follow_spawn,
    .ready = follow_ready,
    .park = follow_park,
    .run = follow_run,
    .exit = follow_exit,
    .watcher_open = follow_watcher_open,
    .watcher = follow_watcher,
    .timeout_start = follow_timeout_start,
    .timeout_fire = follow_timeout_fire,
    .timeout_cancel = follow_timeout_cancel,
    .poll_begin = follow_poll_begin,
    .poll_end = follow_poll_end,
    .acquire = follow_acquire,
    .release = follow_release,
    .awaits = follow_awaits,
    .detail = follow_detail,
    .know = follow_know,
};
