/* What each step of a greenlet's life writes: its slot in the table, and its events.
 *
 * Included by _ring.c, whose methods are these steps for Python, and by _ring_api.c and _ring_follow.c, for C. The
 * ring is not detached, which the callers have asked. Each reads the clock once, or is given the time.
 */
#ifndef GREENSCOPE_RING_STEPS_H
#define GREENSCOPE_RING_STEPS_H

#include "_ring.h"
#include "_ring_api.h"
#include "_ring_follow.h"

/* What the capsules hold; _ring_api.c, _ring_follow.c. */
extern RingAPI ring_interface;
extern RingFollow ring_follow_interface;

/* A greenlet begins: its handle. */
static inline uint64_t
spawn_at(Ring *ring, uint64_t now, uint8_t reason, uint32_t name, int numbered, uint64_t parent, uint32_t site)
{
    uint64_t greenlet = ring->next_greenlet++, handle = greenlet;
    uint32_t index = 0;
    Slot *slot = slot_take(ring, &index);
    if (slot != NULL) {
        slot_begin(slot);
        memset((uint8_t *) slot + 4, 0, GS_RING_SLOT_SIZE - 4);
        slot->greenlet = greenlet;
        slot->name = name;
        slot->parent = parent;
        slot->since_ns = now;
        slot->site = slot->spawn_site = site;
        slot->state = GS_STATE_SPAWNED;
        slot->spawn_reason = reason;
        slot->flags = numbered ? GS_RING_FLAG_NUMBERED : 0;
        slot_end(slot);
        handle |= (uint64_t) (index + 1) << GS_RING_HANDLE_BITS;
    }
    put(ring, now, greenlet, GS_KIND_GREENLET_SPAWN, reason, numbered != 0, site, parent);
    put(ring, now, greenlet, GS_KIND_GREENLET_NAME, 0, numbered != 0, 0, name);
    publish(ring);
    if (reason == GS_SPAWN_HUB)
        ring->hub = ring->current = handle;
    return handle;
}

/* It ends; if it ran, nobody but the hub does now. */
static inline void
exit_at(Ring *ring, uint64_t now, uint64_t handle, int how)
{
    Slot *slot = slot_of(ring, handle);
    if (slot != NULL) {
        slot_begin(slot);
        memset((uint8_t *) slot + 4, 0, GS_RING_SLOT_SIZE - 4);
        slot_end(slot);
        ring->free_slots[ring->free_count++] = (uint32_t) (handle >> GS_RING_HANDLE_BITS) - 1;
    }
    record(ring, now, handle, GS_KIND_GREENLET_EXIT, (uint8_t) how, 0, 0, 0);
    if (ring->current == handle)
        ring->current = ring->hub;
}

/* The record before, if it is of this kind and of what runs. One that the same call makes right after it has its time,
 * for which the clock is read once, and its site. */
static inline const Event *
just_before(Ring *ring, uint8_t kind)
{
    const Event *last = ring->next - 1;
    return ring->head != 0 && last->kind == kind && last->greenlet == (ring->current & ID_MASK) ? last : NULL;
}

/* A timeout begins for what runs: its number. */
static inline uint32_t
timeout_at(Ring *ring, uint8_t reason, uint64_t milliseconds)
{
    uint32_t number = take_resource(ring);
    record(ring, now_ns(ring), ring->current, GS_KIND_TIMEOUT_START, reason, 0, ring_site_here(ring),
           pack(number, milliseconds > UINT32_MAX ? UINT32_MAX : milliseconds));
    return number;
}

/* It was stopped in time; that of a socket's wait is, as soon as that is over. */
static inline void
cancel(Ring *ring, uint8_t reason, uint64_t timeout)
{
    const Event *over = reason == GS_TIMEOUTS_SOCKET ? just_before(ring, GS_KIND_WATCHER_STOP) : NULL;
    record(ring, over != NULL ? over->time_ns : now_ns(ring), ring->current, GS_KIND_TIMEOUT_CANCEL, reason, 0,
           site_if_taught(ring), timeout);
}

/* What other threads want of this one, at the end of a poll. */
static inline void
hear_if_asked(Ring *ring)
{
    if (atomic_load_explicit(&ring->detail_wanted, memory_order_relaxed) >= 0 ||
        atomic_load_explicit(&ring->stall_over, memory_order_relaxed))
        ring_hear(ring);
}

static inline void
make_ready(Ring *ring, uint64_t now, uint64_t handle, uint64_t reason, uint64_t by)
{
    Slot *slot = slot_of(ring, handle);
    if (slot != NULL) {
        slot_begin(slot);
        slot->state = GS_STATE_READY;
        slot->reason = (uint8_t) reason;
        slot->since_ns = now;
        slot_end(slot);
    }
    uint32_t site = site_if_taught(ring);
    put(ring, now, handle, GS_KIND_GREENLET_READY, (uint8_t) reason, 0, site ? site : waits_at_if_taught(ring, slot),
        by);
    publish(ring);
}

static inline void
ready_by(Ring *ring, uint64_t handle, uint64_t reason, uint64_t by)
{
    switch (reason) {
    case GS_READY_GREENLET:
    case GS_READY_SPAWN:
    case GS_READY_KILL:
    case GS_READY_CLOSE:
    case GS_READY_YIELD:
        by &= ID_MASK;
    }
    make_ready(ring, now_ns(ring), handle, reason, by);
}

/* Of what fires one after the other the kernel told in one answer, at one time: the clock is read once. */
static inline void
fire(Ring *ring, uint64_t handle, uint64_t watch, uint64_t resource, uint64_t high)
{
    uint64_t now = ring->head == ring->fired_head ? ring->fired_ns : now_ns(ring);
    put(ring, now, handle, GS_KIND_WATCHER_FIRE, (uint8_t) watch, 0, waits_at_if_taught(ring, slot_of(ring, handle)),
        pack(resource, high));
    make_ready(ring, now, handle, GS_READY_WATCHER, resource);
    ring->fired_head = ring->head;
    ring->fired_ns = now;
}

/* It runs from now on; `head` is for the caller to publish. */
static inline void
run_at(Ring *ring, uint64_t now, uint64_t handle, uint8_t kind)
{
    Slot *slot = slot_of(ring, handle);
    if (slot != NULL) {
        slot_begin(slot);
        slot->state = GS_STATE_RUNNING;
        slot->since_ns = now;
        slot->switches++;
        slot_end(slot);
    }
    ring->current = handle;
    put(ring, now, handle, kind, 0, 0, waits_at_if_taught(ring, slot), 0);
}

static inline size_t
kept_of(Py_ssize_t peer_length)
{
    return peer_length > GS_RING_PEER_BYTES ? GS_RING_PEER_BYTES : (size_t) peer_length;
}

static COLD void
set_peer(Slot *slot, const char *peer, Py_ssize_t length)
{
    size_t kept = kept_of(length);
    memcpy(slot->peer, peer, kept);
    memset(slot->peer + kept, 0, GS_RING_PEER_BYTES - kept);
    slot->peer_length = (uint8_t) kept;
}

typedef struct {
    uint64_t reason; /* and Origin, from GS_RING_ORIGIN_SHIFT on */
    uint64_t resource, fd, deadline_ms;
    const char *peer;
    Py_ssize_t peer_length;
} Waiting;

/* The running greenlet is about to wait at that site; `starts`: and its watcher begins to watch, at that one. */
static INLINED void
park_from(Ring *ring, uint64_t now, const Waiting *for_what, int starts, uint32_t starts_at, uint32_t site)
{
    uint64_t deadline_ms = for_what->deadline_ms > UINT32_MAX ? UINT32_MAX : for_what->deadline_ms;
    uint32_t fd_plus_1 = (uint32_t) (for_what->fd + 1);
    Slot *slot = slot_of(ring, ring->current);
    if (slot != NULL) {
        slot_begin(slot);
        if (LIKELY(slot->state == GS_STATE_RUNNING))
            slot->run_ns += now - slot->since_ns;
        slot->state = GS_STATE_WAITING;
        slot->reason = (uint8_t) for_what->reason;
        slot->since_ns = now;
        slot->site = site;
        slot->fd_plus_1 = fd_plus_1;
        slot->deadline_ns = deadline_ms ? now + deadline_ms * 1000000 : 0;
        /* A resource's peer is always the same: the second cache line is not touched for nothing. */
        if (UNLIKELY(slot->resource != (uint32_t) for_what->resource ||
                     slot->peer_length != kept_of(for_what->peer_length))) {
            set_peer(slot, for_what->peer, for_what->peer_length);
            slot->origin = (uint8_t) (for_what->reason >> GS_RING_ORIGIN_SHIFT);
        }
        slot->resource = (uint32_t) for_what->resource;
        slot_end(slot);
    }
    if (starts)
        put(ring, now, ring->current, GS_KIND_WATCHER_START, (uint8_t) for_what->reason, 0, starts_at,
            pack(for_what->resource, for_what->fd));
    put(ring, now, ring->current, GS_KIND_GREENLET_PARK, (uint8_t) for_what->reason,
        (uint16_t) (fd_plus_1 > UINT16_MAX ? UINT16_MAX : fd_plus_1), site, pack(for_what->resource, deadline_ms));
    publish(ring);
    ring->current = ring->hub;
}

typedef struct {
    uint64_t now;
    uint32_t site;
} Moment;

/* When and where what runs is about to wait: as its timeout says, if that is a socket's, begun for this. */
static inline Moment
moment(Ring *ring)
{
    const Event *timeout = just_before(ring, GS_KIND_TIMEOUT_START);
    int begun = timeout != NULL && timeout->reason == GS_TIMEOUTS_SOCKET;
    return (Moment) {begun ? timeout->time_ns : now_ns(ring), ring->stacks ? ring_stack_here(ring)
                                                              : begun      ? timeout->site
                                                                           : ring_site_here(ring)};
}

/* The running greenlet is about to wait at the line that runs. */
static inline void
park_at(Ring *ring, Moment here, const Waiting *for_what, int starts)
{
    park_from(ring, here.now, for_what, starts, starts ? site_if_taught(ring) : 0, here.site);
}

/* Whom it waits for has changed, if it still waits for that. */
static inline void
awaits(Ring *ring, uint64_t handle, uint32_t resource, uint64_t whom)
{
    Slot *slot = slot_of(ring, handle);
    if (slot != NULL && slot->state == GS_STATE_WAITING && slot->resource == resource &&
        (slot->reason == GS_WAIT_LOCK || slot->reason == GS_WAIT_JOIN)) {
        slot_begin(slot);
        slot->fd_plus_1 = whom <= GS_RING_NOT_STARTED ? (uint32_t) whom : 0;
        slot_end(slot);
    }
}

static inline void
give_way(Ring *ring, Moment here, uint64_t handle, uint64_t deadline_ms)
{
    park_at(ring, here, &(Waiting) {GS_WAIT_YIELD, 0, (uint64_t) -1, deadline_ms, "", 0}, 0);
    make_ready(ring, here.now, handle, GS_READY_YIELD, handle & ID_MASK);
}

static inline void
stop_at(Ring *ring, uint64_t now, int watch, uint32_t resource, int fd)
{
    record(ring, now, ring->current, GS_KIND_WATCHER_STOP, (uint8_t) watch, 0, 0, pack(resource, (uint64_t) fd));
}

#endif
