/* Stalls: whether a hub has not switched for too long, and what is said of it.
 *
 * What the watchdog knows of a hub it reads in the hub's ring, as any reader does, so that recording costs
 * nothing more: the newest record that says what runs (a switch, a park, a poll) also says since when. Not
 * everybody who does not switch is to blame:
 *
 *   - a hub that idles in the poll has its own loop as its innermost Python frame; one that calls a function
 *     from the poll has another;
 *   - a process that was stopped finds the watchdog late as well, which begins anew then;
 *   - a thread whose hub has not run yet (a program that starts) keeps nobody from anything.
 *
 * A hub that runs is looked at when what runs now would be a stall, and once halfway, and not before: whoever began
 * later can be none by then. Who was gone by halfway, as in a busy hub nearly everybody, costs one look. The one
 * halfway is for a process that is stopped: it is late for one of the two. Where the thread does not have a processor
 * all the time, it is looked at twice as often: what a stall computed has to be known well there.
 *
 * What it notices it writes to the ring's watch section, whose only writer it is: stall_begin, with the stack and
 * what the thread waits for in the kernel, when the threshold is over, and stall_end when the hub has switched.
 */
#include "_watch.h"

#define FARTHEST (1 << 20) /* records that are looked through at most: a millisecond's work */

/* -- what a hub does -------------------------------------------------------------------------- */

static int
says_what_runs(uint8_t kind)
{
    switch (kind) {
    case GS_KIND_GREENLET_SWITCH:
    case GS_KIND_GREENLET_THROW:
    case GS_KIND_GREENLET_PARK:
    case GS_KIND_GREENLET_EXIT:
    case GS_KIND_POLL_BEGIN:
    case GS_KIND_POLL_END:
        return 1;
    default:
        return 0;
    }
}

/* From the newest record back, usually a few of them; to the last that was seen at most. A record that the
 * writer overtakes meanwhile says something that is over already, and is put right the next time. */
uint64_t
watch_look(Watched *ring, uint64_t after)
{
    const Event *events = (const Event *) (ring->base + header_u64(ring, GS_HEADER_EVENT_OFFSET));
    uint64_t head = header_u64(ring, GS_HEADER_HEAD), capacity = header_u64(ring, GS_HEADER_EVENT_CAPACITY), first = 0;
    uint64_t oldest = ring->seen, newest = 0, since;
    if (head - oldest > capacity - GS_RING_MAX_BURST)
        oldest = head - (capacity - GS_RING_MAX_BURST);
    if (head - oldest > FARTHEST)
        oldest = head - FARTHEST;
    for (uint64_t number = head; number > oldest; number--) {
        const Event *event = &events[(number - 1) % capacity];
        if (!says_what_runs(event->kind))
            continue;
        since = event->time_ns;
        if (newest == 0) {
            int runs = event->kind == GS_KIND_GREENLET_SWITCH || event->kind == GS_KIND_GREENLET_THROW;
            ring->doing = (Doing){number, since, runs ? event->greenlet : HUB, event->kind == GS_KIND_POLL_BEGIN};
            newest = number;
        }
        if (number > after)
            first = since;
        if (++ring->switches >= 2 && after == UINT64_MAX)
            break;
    }
    /* So many records that say nothing of it, in so short a time: who runs is known all the same, and since when
     * at least. */
    uint64_t runs = __atomic_load_n(&ring->ring->current, __ATOMIC_RELAXED) & ID_MASK;
    if (newest == 0 && oldest != ring->seen && runs != ring->doing.greenlet) {
        while (events[oldest % capacity].kind == GS_KIND_TEXT && oldest < head) /* which has no time */
            oldest++;
        ring->doing = (Doing){oldest + 1, events[oldest % capacity].time_ns, runs, 0};
        ring->switches = 2;
    }
    ring->seen = head;
    return first;
}

/* -- the watch section ------------------------------------------------------------------------ */

static Event *
watch_slot(Watched *ring, uint64_t number)
{
    Event *events = (Event *) (ring->base + header_u64(ring, GS_HEADER_WATCH_OFFSET));
    return &events[number % header_u64(ring, GS_HEADER_WATCH_CAPACITY)];
}

static void
watch_write(Watched *ring, uint8_t kind, uint8_t reason, uint32_t computed, uint64_t now, uint64_t greenlet,
            uint64_t arg, const char *text, size_t length)
{
    uint64_t head = header_u64(ring, GS_HEADER_WATCH_HEAD),
             texts = (length + GS_RING_TEXT_BYTES - 1) / GS_RING_TEXT_BYTES;
    if (header_u64(ring, GS_HEADER_WATCH_CAPACITY) < 2 * GS_RING_WATCH_BURST)
        return;
    *watch_slot(ring, head++) = (Event){.time_ns = now,
                                        .greenlet = greenlet,
                                        .kind = kind,
                                        .reason = reason,
                                        .aux = (uint16_t) texts,
                                        .site = computed,
                                        .arg = arg};
    for (uint64_t i = 0; i < texts; i++) {
        TextEvent record = {.kind = GS_KIND_TEXT, .following = (uint16_t) (texts - 1 - i)};
        uint8_t bytes[GS_RING_TEXT_BYTES] = {0};
        size_t from = i * GS_RING_TEXT_BYTES;
        record.length = (uint8_t) (length - from < GS_RING_TEXT_BYTES ? length - from : GS_RING_TEXT_BYTES);
        memcpy(bytes, text + from, record.length);
        memcpy(record.bytes, bytes, 16);
        memcpy(record.more, bytes + 16, 12);
        memcpy(watch_slot(ring, head++), &record, sizeof record);
    }
    atomic_store_explicit((_Atomic uint64_t *) (ring->base + GS_HEADER_WATCH_HEAD), head, memory_order_release);
}

/* -- how much it computes --------------------------------------------------------------------- */

/* The processor time of the hub's thread (clock_getcpuclockid(3), of a thread by its number); UINT64_MAX: not known. */
static uint64_t
computed_by(const Watched *ring)
{
    struct timespec now;
    clockid_t clock = (clockid_t) ((~(unsigned) header_u64(ring, GS_HEADER_THREAD_ID) << 3) | 6);
    if (clock_gettime(clock, &now) < 0)
        return UINT64_MAX;
    return (uint64_t) now.tv_sec * NS_A_SECOND + (uint64_t) now.tv_nsec;
}

/* The newest look; `ago`: one of those before. */
static Look *
look_of(Watched *ring, unsigned ago)
{
    return &ring->looks[(ring->looked - ago) % LOOKS];
}

static void
look_at_processor(Watched *ring)
{
    ring->looked++;
    Look *look = look_of(ring, 0);
    look->from_ns = real_ns();
    look->cpu_ns = computed_by(ring);
    look->to_ns = real_ns();
}

/* How much it computed since the look before; UINT64_MAX: not known. */
static uint64_t
computed_since(Watched *ring)
{
    const Look *now = look_of(ring, 0), *before = look_of(ring, 1);
    int known = before->to_ns != 0 && now->cpu_ns != UINT64_MAX && before->cpu_ns != UINT64_MAX;
    return known ? now->cpu_ns - before->cpu_ns : UINT64_MAX;
}

/* Whether it has computed all the time since the look before, but for an eighth at most; or idled then. */
static int
has_processor(Watched *ring)
{
    uint64_t computed = computed_since(ring), passed = look_of(ring, 0)->from_ns - look_of(ring, 1)->to_ns;
    return computed != UINT64_MAX && (look_of(ring, 1)->idle || computed >= passed - passed / 8);
}

/* The least that it had computed by a time: what it had at a look before, or at one after without all that is between.
 */
static uint64_t
computed_at_least(const Watched *ring, uint64_t time)
{
    uint64_t most = 0, known = 0;
    for (unsigned i = 0; i < LOOKS; i++) {
        const Look *look = &ring->looks[i];
        if (look->to_ns == 0 || look->cpu_ns == UINT64_MAX)
            continue;
        uint64_t since = look->to_ns > time ? look->to_ns - time : 0,
                 least = look->cpu_ns > since ? look->cpu_ns - since : 0;
        if (least > most)
            most = least;
        known = 1;
    }
    return known ? most : UINT64_MAX;
}

/* The most: what it had at a look after, or at one before with all that is between. */
static uint64_t
computed_at_most(const Watched *ring, uint64_t time)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < LOOKS; i++) {
        const Look *look = &ring->looks[i];
        if (look->to_ns == 0 || look->cpu_ns == UINT64_MAX)
            continue;
        uint64_t most = look->cpu_ns + (look->from_ns < time ? time - look->from_ns : 0);
        if (most < least)
            least = most;
    }
    return least;
}

/* The most that a stall's thread can have computed in it by a time, as a record has it: microseconds + 1; 0: not
 * known. */
static uint32_t
stall_computed(const Watched *ring, uint64_t time)
{
    uint64_t by = computed_at_most(ring, time);
    if (ring->stall_cpu_ns == UINT64_MAX || by == UINT64_MAX || by < ring->stall_cpu_ns)
        return 0;
    uint64_t us = (by - ring->stall_cpu_ns) / 1000 + 1;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t) us;
}

/* Whether what calls the poll is the innermost frame: then it waits, and calls nobody. */
static int
calls_poll(Watched *ring)
{
    static PlaceName name; /* under the lock */
    Place place;
    if (walk_thread(ring->thread, &place, 1) != 1)
        return 1; /* unknown, as on interpreters whose frames are */
    if (place.code == ring->idle_code)
        return 1;
    if (name_place(&place, &name) < 0 ||
        !((strncmp(name.function, "Hub.", 4) == 0 && strstr(name.file, "greenscope/runtime/hub.py") != NULL) ||
          (strcmp(name.function, "Loop.run") == 0 && strstr(name.file, "greenscope/integrations/gevent/") != NULL)))
        return 0;
    ring->idle_code = place.code;
    return 1;
}

/* A thread that has computed nothing since it was seen to wait in this poll has not left it. */
static int
idles(Watched *ring, uint64_t now)
{
    uint64_t computed = look_of(ring, 0)->cpu_ns;
    if (!ring->doing.polls)
        return 0;
    if (ring->idle_number != ring->doing.number || ring->idle_cpu_ns != computed || computed == UINT64_MAX) {
        if (!calls_poll(ring))
            return 0;
        ring->idle_number = ring->doing.number;
        ring->idle_cpu_ns = computed;
    }
    ring->idle_ns = now;
    return 1;
}

/* Since when a function is called in a poll in which the hub has idled, which is recorded nowhere: since it has
 * computed so much, or longer. */
static uint64_t
called_since(Watched *ring, uint64_t now)
{
    uint64_t computed = look_of(ring, 0)->cpu_ns - ring->idle_cpu_ns;
    if (ring->called_ns < ring->idle_ns)
        ring->called_ns = computed < now - ring->idle_ns ? now - computed : ring->idle_ns;
    return ring->called_ns;
}

/* -- stalls ----------------------------------------------------------------------------------- */

static void
stall_begins(Watched *ring, uint64_t now, uint64_t since)
{
    static char stack[(GS_RING_WATCH_BURST - 1) * GS_RING_TEXT_BYTES]; /* under the lock */
    ring->stall_number = ring->doing.number;
    ring->stall_from_ns = since;
    ring->stall_greenlet = ring->doing.greenlet;
    ring->stall_kept = 0;
    ring->stall_cpu_ns = computed_at_least(ring, since);
    uint8_t blocked = call_of(header_u64(ring, GS_HEADER_THREAD_ID));
    watch_write(ring, GS_KIND_STALL_BEGIN, blocked, stall_computed(ring, now), now, ring->doing.greenlet, since, stack,
                stacks_text(ring->thread, stack, sizeof stack));
}

static void
stall_ends(Watched *ring, uint64_t at)
{
    uint64_t from = ring->stall_from_ns;
    ring->stall_number = 0;
    watch_write(ring, GS_KIND_STALL_END, 0, stall_computed(ring, at), at, ring->stall_greenlet,
                at > from ? at - from : 0, NULL, 0);
    atomic_store_explicit(&ring->ring->stall_over, 1, memory_order_relaxed);
}

static uint64_t
look_at(Watched *ring, const Thresholds *thresholds, uint64_t now, uint64_t from)
{
    uint64_t soon = now + (thresholds->stall_ns / 4 > NS_A_MS ? thresholds->stall_ns / 4 : NS_A_MS), since;
    /* Who looks at what a killed process left knows by this how long it hung. */
    atomic_store_explicit((_Atomic uint64_t *) (ring->base + GS_HEADER_ALIVE_NS), now, memory_order_relaxed);
    uint64_t over_at = watch_look(ring, ring->stall_number ? ring->stall_number : UINT64_MAX);
    look_at_processor(ring);
    int idle = look_of(ring, 0)->idle = idles(ring, now), on = ring->stall_number != 0;
    if (on && over_at == 0 && ring->doing.number != ring->stall_number)
        over_at = ring->doing.since_ns; /* somebody else has looked meanwhile */
    if (on && (over_at || idle))
        stall_ends(ring, over_at ? over_at : now);
    if (idle) /* what it calls from the poll is found out about here */
        return now + 2 * (soon - now);
    if (ring->doing.number == 0 || ring->switches < 2)
        return soon;
    since = ring->doing.since_ns;
    if (ring->doing.polls && ring->idle_ns > since)
        since = called_since(ring, now);
    if (from > since)
        since = from;
    if (since > now) /* newer than this look, or written over while it was read */
        since = now;
    if (ring->stall_number == 0 && now > since && now - since > thresholds->stall_ns)
        stall_begins(ring, now, since);
    if (ring->stall_number && !ring->stall_kept && thresholds->kept_ns && now > ring->stall_from_ns &&
        now - ring->stall_from_ns > thresholds->kept_ns) {
        ring->stall_kept = 1;
        if (snapshot_allowed(GS_SNAPSHOT_STALL, now))
            snapshot_ask(GS_SNAPSHOT_STALL);
    }
    if (ring->stall_number || !has_processor(ring))
        return soon;
    return since + (now < since + thresholds->stall_ns / 2 ? thresholds->stall_ns / 2 : thresholds->stall_ns) + 1;
}

void
watch_one(Watched *ring, const Thresholds *thresholds, uint64_t now, uint64_t from)
{
    ring->due_ns = look_at(ring, thresholds, now, from);
}

void
watch_last(Watched *ring)
{
    if (ring->stall_number)
        stall_ends(ring, real_ns());
}
