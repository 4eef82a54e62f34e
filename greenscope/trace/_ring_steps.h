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

/* A timeout begins for what runs: its number. */
static inline uint32_t
timeout_at(Ring *ring, uint8_t reason, uint64_t milliseconds)
{
    uint32_t number = take_resource(ring);
    record(ring, now_ns(ring), ring->current, GS_KIND_TIMEOUT_START, reason, 0, ring_site_here(ring),
           pack(number, milliseconds > UINT32_MAX ? UINT32_MAX : milliseconds));
    return number;
}

/* It was stopped in time. */
static inline void
cancel(Ring *ring, uint8_t reason, uint64_t timeout)
{
    record(ring, now_ns(ring), ring->current, GS_KIND_TIMEOUT_CANCEL, reason, 0, site_if_taught(ring), timeout);
}

/* What other threads want of this one, at the end of a poll. */
static inline void
hear_if_asked(Ring *ring)
{
    if (atomic_load_explicit(&ring->detail_wanted, memory_order_relaxed) >= 0 ||
        atomic_load_explicit(&ring->stall_over, memory_order_relaxed))
        ring_hear(ring);
}

static INLINED Slot *
slot_is_ready(Ring *ring, uint64_t now, uint64_t handle, uint64_t reason)
{
    Slot *slot = slot_of(ring, handle);
    if (slot != NULL) {
        slot_begin(slot);
        slot->state = GS_STATE_READY;
        slot->reason = (uint8_t) reason;
        slot->since_ns = now;
        slot_end(slot);
    }
    return slot;
}

static inline void
make_ready(Ring *ring, uint64_t now, uint64_t handle, uint64_t reason, uint64_t by)
{
    const Slot *slot = slot_is_ready(ring, now, handle, reason);
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
    uint32_t waits_at = waits_at_if_taught(ring, slot_is_ready(ring, now, handle, GS_READY_WATCHER));
    uint32_t site = site_if_taught(ring);
    Event aside[ROW], *from = row_begins(ring, aside), *to = from;
    write_event(to++, now, handle, GS_KIND_WATCHER_FIRE, (uint8_t) watch, 0, waits_at, pack(resource, high));
    write_event(to++, now, handle, GS_KIND_GREENLET_READY, GS_READY_WATCHER, 0, site ? site : waits_at, resource);
    row_ends(ring, aside, from, to);
    ring->fired_head = ring->head;
    ring->fired_ns = now;
}

static INLINED Slot *
slot_runs(Ring *ring, uint64_t now, uint64_t handle)
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
    return slot;
}

/* It runs from now on; `head` is for the caller to publish. */
static inline void
run_at(Ring *ring, uint64_t now, uint64_t handle, uint8_t kind)
{
    const Slot *slot = slot_runs(ring, now, handle);
    put(ring, now, handle, kind, 0, 0, waits_at_if_taught(ring, slot), 0);
}

/* It runs from now on, since what it waited for has come: its watcher watches no more, and the wait's timeout, if there
 * is one, is stopped. */
static inline void
resume(Ring *ring, uint64_t handle, uint8_t watch, uint64_t what, uint32_t timeout)
{
    uint64_t now = now_ns(ring);
    uint32_t site = waits_at_if_taught(ring, slot_runs(ring, now, handle));
    Event aside[ROW], *from = row_begins(ring, aside), *to = from;
    write_event(to++, now, handle, GS_KIND_GREENLET_SWITCH, 0, 0, site, 0);
    write_event(to++, now, handle, GS_KIND_WATCHER_STOP, watch, 0, 0, what);
    if (timeout != 0)
        write_event(to++, now, handle, GS_KIND_TIMEOUT_CANCEL, GS_TIMEOUTS_SOCKET, 0, site, timeout);
    row_ends(ring, aside, from, to);
}

static inline size_t
kept_of(Py_ssize_t peer_length)
{
    return peer_length > GS_RING_PEER_BYTES ? GS_RING_PEER_BYTES : (size_t) peer_length;
}

static void __attribute__((noinline))
set_peer(Slot *slot, const char *peer, Py_ssize_t length)
{
    uint8_t bytes[GS_RING_PEER_BYTES] = {0};
    size_t kept = kept_of(length);
    memcpy(bytes, peer, kept);
    memcpy(slot->peer, bytes, sizeof bytes);
    slot->peer_length = (uint8_t) kept;
}

typedef struct {
    uint64_t reason; /* and Origin, from GS_RING_ORIGIN_SHIFT on */
    uint64_t resource, fd, deadline_ms;
    const char *peer;
    Py_ssize_t peer_length;
} Waiting;

static inline uint64_t
milliseconds_of(const Waiting *for_what)
{
    return for_what->deadline_ms > UINT32_MAX ? UINT32_MAX : for_what->deadline_ms;
}

static INLINED void
slot_waits(Ring *ring, uint64_t now, const Waiting *for_what, uint32_t site)
{
    uint64_t deadline_ms = milliseconds_of(for_what);
    Slot *slot = slot_of(ring, ring->current);
    if (slot == NULL)
        return;
    slot_begin(slot);
    if (LIKELY(slot->state == GS_STATE_RUNNING))
        slot->run_ns += now - slot->since_ns;
    slot->state = GS_STATE_WAITING;
    slot->reason = (uint8_t) for_what->reason;
    slot->since_ns = now;
    slot->site = site;
    slot->fd_plus_1 = (uint32_t) (for_what->fd + 1);
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

static INLINED void
write_start(Event *event, uint64_t now, uint64_t handle, const Waiting *for_what, uint32_t site)
{
    write_event(event, now, handle, GS_KIND_WATCHER_START, (uint8_t) for_what->reason, 0, site,
                pack(for_what->resource, for_what->fd));
}

static INLINED void
write_park(Event *event, uint64_t now, uint64_t handle, const Waiting *for_what, uint32_t site)
{
    uint32_t fd_plus_1 = (uint32_t) (for_what->fd + 1);
    write_event(event, now, handle, GS_KIND_GREENLET_PARK, (uint8_t) for_what->reason,
                (uint16_t) (fd_plus_1 > UINT16_MAX ? UINT16_MAX : fd_plus_1), site,
                pack(for_what->resource, milliseconds_of(for_what)));
}

/* The running greenlet is about to wait at that site. */
static inline void
park_from(Ring *ring, uint64_t now, const Waiting *for_what, uint32_t site)
{
    slot_waits(ring, now, for_what, site);
    write_park(advance(ring), now, ring->current, for_what, site);
    publish(ring);
    ring->current = ring->hub;
}

typedef struct {
    uint64_t now;
    uint32_t site;
} Moment;

/* When and where what runs is about to wait. */
static inline Moment
moment(Ring *ring)
{
    return (Moment) {now_ns(ring), UNLIKELY(ring->stacks) ? ring_stack_here(ring) : ring_site_here(ring)};
}

/* The running greenlet is about to wait for a descriptor: its watcher begins to watch. And a socket's timeout
 * begins for this, of so many milliseconds, unless that is -1: its number. */
static inline uint32_t
wait_from(Ring *ring, Moment here, const Waiting *for_what, int64_t timeout_ms)
{
    uint64_t handle = ring->current;
    uint32_t timeout = 0, taught = site_if_taught(ring), line = here.site;
    if (UNLIKELY(ring->stacks) && timeout_ms >= 0) /* timeouts are counted by their line, wherever it is called from */
        line = ring_site_here(ring);
    Event aside[ROW], *from = row_begins(ring, aside), *to = from;
    if (timeout_ms >= 0) {
        timeout = take_resource(ring);
        write_event(to++, here.now, handle, GS_KIND_TIMEOUT_START, GS_TIMEOUTS_SOCKET, 0, line,
                    pack(timeout, timeout_ms > UINT32_MAX ? UINT32_MAX : (uint64_t) timeout_ms));
    }
    write_start(to++, here.now, handle, for_what, taught);
    slot_waits(ring, here.now, for_what, here.site);
    write_park(to++, here.now, handle, for_what, here.site);
    row_ends(ring, aside, from, to);
    ring->current = ring->hub;
    return timeout;
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
    park_from(ring, here.now, &(Waiting) {GS_WAIT_YIELD, 0, (uint64_t) -1, deadline_ms, "", 0}, here.site);
    make_ready(ring, here.now, handle, GS_READY_YIELD, handle & ID_MASK);
}

#endif
