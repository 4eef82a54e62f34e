/* What the C files of the ring share: its structures, and how a record and a slot are written.
 *
 * _ring.c says what is written and by which rules; _sites.c owns strings and call sites; _clock.c says when it is;
 * _reserve.c sees to it that there is space before it is touched. _hot.h is how what is run for each record is laid
 * out.
 */
#ifndef GREENSCOPE_RING_H
#define GREENSCOPE_RING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>

#include "_clock.h"
#include "_hot.h"
#include "_ring_layout.h"

#define ID_MASK ((UINT64_C(1) << GS_RING_HANDLE_BITS) - 1)

typedef struct {
    uint64_t time_ns;
    uint64_t greenlet;
    uint8_t kind;
    uint8_t reason;
    uint16_t aux;
    uint32_t site;
    uint64_t arg;
} Event;

typedef struct {
    uint8_t bytes[16];
    uint8_t kind;
    uint8_t length;
    uint16_t following;
    uint8_t more[12];
} TextEvent;

typedef struct {
    _Atomic uint32_t sequence;
    uint32_t name;
    uint64_t greenlet;
    uint64_t since_ns;
    uint32_t resource;
    uint32_t fd_plus_1;
    uint64_t deadline_ns;
    uint64_t run_ns;
    uint64_t switches;
    uint32_t site;
    uint8_t state;
    uint8_t reason;
    uint8_t flags;
    uint8_t peer_length;
    uint64_t parent;
    uint32_t spawn_site;
    uint8_t spawn_reason;
    uint8_t origin;
    uint8_t padding[2];
    uint8_t peer[GS_RING_PEER_BYTES];
} Slot;

_Static_assert(sizeof(Event) == GS_RING_EVENT_SIZE, "an event is 32 bytes");
_Static_assert(sizeof(TextEvent) == GS_RING_EVENT_SIZE, "a text record is an event");
_Static_assert(sizeof(Slot) == GS_RING_SLOT_SIZE, "a slot is two cache lines");
_Static_assert(offsetof(Slot, peer_length) == GS_SLOT_PEER_LENGTH, "the layout is generated");
_Static_assert(offsetof(Slot, origin) == GS_SLOT_ORIGIN, "the layout is generated");
_Static_assert(offsetof(Slot, peer) == GS_SLOT_PEER, "the layout is generated");

/* A call site is a place in a code object. The reference keeps the address from being reused. */
typedef struct {
    PyCodeObject *code;
    int lasti;
    uint32_t caller; /* 0: a site without its callers */
    uint32_t site;
    int plumbing; /* shown only if there is nothing better */
} KnownSite;

/* Our own code, which a walk for a call site passes over: most of the frames that it meets. */
#define OWN_CODES 256

/* A part of the file, in bytes. It may be used up to `reserved`, which grows a step at a time up to `size`;
 * where there is no more space, `size` becomes what is there. */
typedef struct {
    uint64_t offset, size, step, reserved;
} Section;

typedef struct {
    PyObject_HEAD
    /* What every record looks at, side by side: between two records a program has had the cache to itself. */
    uint8_t *base;       /* NULL: detached, nothing is written */
    Event *next, *limit; /* where the next record goes; the end of what is reserved of the events */
    uint64_t head;
    uint64_t hub, current;         /* handles */
    uint64_t fired_head, fired_ns; /* `head` after the last fire, and when that was */
    Slot *slots;
    KnownSite *known;
    PyCodeObject **own; /* OWN_CODES of them, each at the place of its address, if no other has taken that */
    uint32_t slot_used;
    uint32_t known_count, known_size;
    int stacks;                /* whether the whole stack is recorded where a greenlet parks */
    int detail;                /* Detail: how much is recorded */
    _Atomic int detail_wanted; /* what another thread asks for, without the GIL; -1: nothing */
    _Atomic int stall_over;    /* the watchdog saw one end, and nobody was told yet */
    Clock clock;
    uint64_t next_greenlet;
    uint32_t next_resource;
    /* What is rare. */
    uint32_t site_count;
    uint64_t string_used;
    Section strings_at, sites_at, slots_at, events_at;
    int fd;                 /* of the file, to reserve space with; -1: memory that no file is behind */
    uint64_t device, inode; /* the file's, since a program may close a descriptor and reuse its number */
    uint32_t strings_lost, sites_lost, slots_lost;
    uint32_t free_count;
    uint32_t *free_slots;
    PyObject *strings;       /* str -> id */
    PyObject *internal;      /* tuple of str */
    PyObject *plumbing;      /* tuple of str */
    PyObject *idles_in;      /* a code object, kept so that its address is not another's */
    struct Watched *watched; /* the watchdog's; NULL: it does not look after this ring */
    Py_buffer view;
} Ring;

/* -- the file --------------------------------------------------------------------------------- */

static inline uint64_t
number_at(const uint8_t *base, size_t offset)
{
    uint64_t value;
    memcpy(&value, base + offset, sizeof value);
    return value;
}

static inline void
store_u32(Ring *ring, size_t offset, uint32_t value)
{
    if (ring->base != NULL)
        atomic_store_explicit((_Atomic uint32_t *) (ring->base + offset), value, memory_order_release);
}

static inline uint64_t
now_ns(Ring *ring)
{
    return clock_now(&ring->clock);
}

static inline void
publish(Ring *ring)
{
    atomic_store_explicit((_Atomic uint64_t *) (ring->base + GS_HEADER_HEAD), ring->head, memory_order_release);
}

/* The next segment of the events, or their beginning again: sets `next` and `limit`. */
COLD void ring_turn(Ring *ring);

/* Where the next record goes. The cache gets ready for those that will follow: from one lap to the next it has
 * forgotten them, and the processor does not see by itself what comes at such a distance. */
static inline Event *
advance(Ring *ring)
{
    __builtin_prefetch(ring->next + 8, 1);
    if (UNLIKELY(ring->next == ring->limit))
        ring_turn(ring);
    ring->head++;
    return ring->next++;
}

static INLINED void
write_event(Event *event, uint64_t time_ns, uint64_t handle, uint8_t kind, uint8_t reason, uint16_t aux, uint32_t site,
            uint64_t arg)
{
    event->time_ns = time_ns;
    event->greenlet = handle & ID_MASK;
    event->kind = kind;
    event->reason = reason;
    event->aux = aux;
    event->site = site;
    event->arg = arg;
}

static inline void
put(Ring *ring, uint64_t time_ns, uint64_t handle, uint8_t kind, uint8_t reason, uint16_t aux, uint32_t site,
    uint64_t arg)
{
    write_event(advance(ring), time_ns, handle, kind, reason, aux, site, arg);
}

static inline void
record(Ring *ring, uint64_t time_ns, uint64_t handle, uint8_t kind, uint8_t reason, uint16_t aux, uint32_t site,
       uint64_t arg)
{
    put(ring, time_ns, handle, kind, reason, aux, site, arg);
    publish(ring);
}

/* Records that one call makes in a row are written where they go, and counted once: `ROW` of them at most, beginning
 * where `row_begins` says. Where a segment ends they are written aside, and copied. Until `row_ends` nothing else may
 * record: what has to be looked up is so before. */
#define ROW 3

static INLINED Event *
row_begins(Ring *ring, Event *aside)
{
    Event *from = ring->next;
    __builtin_prefetch(from + 8, 1);
    __builtin_prefetch(from + 10, 1);
    return LIKELY(from + ROW <= ring->limit) ? from : aside;
}

/* Those from `aside`. */
COLD void ring_copy(Ring *ring, const Event *aside, size_t count);

static INLINED void
row_ends(Ring *ring, const Event *aside, const Event *from, Event *to)
{
    if (LIKELY(from != aside)) {
        ring->next = to;
        ring->head += (uint64_t) (to - from);
    } else {
        ring_copy(ring, aside, (size_t) (to - from));
    }
    publish(ring);
}

static inline uint64_t
pack(uint64_t low, uint64_t high)
{
    return (low & UINT32_MAX) | (high & UINT32_MAX) << 32;
}

/* How many text records so many bytes take; what does not fit into a burst is cut. */
static inline uint16_t
texts_of(size_t length)
{
    size_t texts = (length + GS_RING_TEXT_BYTES - 1) / GS_RING_TEXT_BYTES;
    return (uint16_t) (texts < GS_RING_MAX_BURST ? texts : GS_RING_MAX_BURST - 1);
}

/* The text of the record before. */
static inline void
put_text(Ring *ring, const char *from, size_t length)
{
    uint16_t texts = texts_of(length);
    for (uint16_t i = 0; i < texts; i++, from += GS_RING_TEXT_BYTES, length -= GS_RING_TEXT_BYTES) {
        TextEvent *text = (TextEvent *) advance(ring);
        size_t kept = length < GS_RING_TEXT_BYTES ? length : GS_RING_TEXT_BYTES;
        uint8_t bytes[GS_RING_TEXT_BYTES] = {0};
        memcpy(bytes, from, kept);
        memcpy(text->bytes, bytes, 16);
        memcpy(text->more, bytes + 16, 12);
        text->kind = GS_KIND_TEXT;
        text->length = (uint8_t) kept;
        text->following = (uint16_t) (texts - 1 - i);
    }
}

/* The next serial number, for whatever can be told apart. */
static inline uint32_t
take_resource(Ring *ring)
{
    uint32_t number = ring->next_resource++;
    if (ring->next_resource == 0)
        ring->next_resource = 1;
    return number;
}

/* -- _reserve.c ------------------------------------------------------------------------------- */

/* Learn from the header where the sections are. `fd`: what to reserve with, -1 where all space is there.
 * -1 and an exception, if it is no descriptor. */
int ring_set_sections(Ring *ring, int fd);

/* Reserve as much of a section as `end` needs; 0: there is not so much, and will not be. */
int ring_reserve(Ring *ring, Section *section, uint64_t end);

static inline int
has_room(Ring *ring, Section *section, uint64_t end)
{
    return end <= section->reserved || ring_reserve(ring, section, end);
}

/* -- slots of the greenlet table -------------------------------------------------------------- */

static inline Slot *
slot_of(Ring *ring, uint64_t handle)
{
    uint64_t index = (handle >> GS_RING_HANDLE_BITS) - 1; /* of none: too large */
    if (UNLIKELY(index >= ring->slot_used))
        return NULL;
    Slot *slot = &ring->slots[index];
    return LIKELY(slot->greenlet == (handle & ID_MASK)) ? slot : NULL;
}

static inline void
slot_begin(Slot *slot)
{
    uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
    atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void
slot_end(Slot *slot)
{
    uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
    atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_release);
}

static inline Slot *
slot_take(Ring *ring, uint32_t *index)
{
    if (ring->free_count) {
        *index = ring->free_slots[--ring->free_count];
    } else if (has_room(ring, &ring->slots_at, (ring->slot_used + UINT64_C(1)) * GS_RING_SLOT_SIZE)) {
        *index = ring->slot_used++;
        store_u32(ring, GS_HEADER_SLOT_USED, ring->slot_used);
    } else {
        store_u32(ring, GS_HEADER_SLOTS_LOST, ++ring->slots_lost);
        return NULL;
    }
    return &ring->slots[*index];
}

/* -- arguments -------------------------------------------------------------------------------- */

/* What a method raises that was called with so many arguments; with the error that is set, if one is. */
static inline PyObject *
wrong(Py_ssize_t got, Py_ssize_t wanted)
{
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", wanted, got);
    return NULL;
}

/* A whole number, cut to 64 bits; UINT64_MAX and perhaps an error. Most are small, and read where they are. */
static inline uint64_t
number_of(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030C0000
    if (PyLong_CheckExact(object) && PyUnstable_Long_IsCompact((PyLongObject *) object))
        return (uint64_t) PyUnstable_Long_CompactValue((PyLongObject *) object);
#else
    if (PyLong_CheckExact(object) && Py_SIZE(object) == 1)
        return ((PyLongObject *) object)->ob_digit[0];
#endif
    return PyLong_AsUnsignedLongLongMask(object);
}

/* Every argument is a whole number; what does not fit is cut to 64 bits. */
static inline int
numbers(PyObject *const *args, Py_ssize_t got, Py_ssize_t wanted, uint64_t *values)
{
    if (got != wanted) {
        wrong(got, wanted);
        return -1;
    }
    for (Py_ssize_t i = 0; i < wanted; i++) {
        values[i] = number_of(args[i]);
        if (values[i] == UINT64_MAX && PyErr_Occurred())
            return -1;
    }
    return 0;
}

#define NONE Py_NewRef(Py_None)
#define ZERO PyLong_FromLong(0)

/* A detached ring does nothing, at once: with tracing off there is one on the hot path all the same. */
#define UNLESS_DETACHED(otherwise) \
    if (ring->base == NULL) \
    return otherwise

#define NUMBERS(count, otherwise) \
    uint64_t v[count]; \
    UNLESS_DETACHED(otherwise); \
    if (numbers(args, nargs, count, v) < 0) \
    return NULL

/* -- _sites.c --------------------------------------------------------------------------------- */

/* The id of a text; 0 when there is no room for it. */
uint32_t ring_intern(Ring *ring, PyObject *text);

/* The call site of what runs now: the first frame that is neither our own nor plumbing. */
uint32_t ring_site_here(Ring *ring);

/* The call site that a place in a code object is; 0: it is our own, or there is no room. `plumbing`: whether one had
 * rather have another. */
uint32_t ring_site_of(Ring *ring, PyCodeObject *code, int lasti, int *plumbing);

/* The site of a record that has one at level teach only. */
static inline uint32_t
site_if_taught(Ring *ring)
{
    return ring->detail >= GS_DETAIL_TEACH ? ring_site_here(ring) : 0;
}

/* Where a greenlet waits, or waited last, for such a record. */
static inline uint32_t
waits_at_if_taught(Ring *ring, const Slot *slot)
{
    return ring->detail >= GS_DETAIL_TEACH && slot != NULL ? slot->site : 0;
}

/* The same, with all that called it. */
uint32_t ring_stack_here(Ring *ring);

/* The site of a greenlet that does not run, or its stack, whichever is recorded: `top` is its innermost frame. */
uint32_t ring_place_of(Ring *ring, PyObject *top);

/* -- _notes.c --------------------------------------------------------------------------------- */

#define NOTE(name) PyObject *ring_##name(Ring *ring, PyObject *const *args, Py_ssize_t nargs)

PyObject *ring_span_begin(Ring *ring, PyObject *name);
PyObject *ring_mark(Ring *ring, PyObject *text);
PyObject *ring_request_begin(Ring *ring, PyObject *text);
NOTE(span_end);
NOTE(request_end);
NOTE(watcher_refuse);
NOTE(job_put);
NOTE(job_end);
NOTE(op_begin);
NOTE(op_end);
NOTE(acquire);
NOTE(release);
NOTE(callback_begin);
NOTE(callback_end);
NOTE(set_detail);

/* Let the whole process have the level that was asked for. */
COLD void ring_hear(Ring *ring);
PyObject *ring_on_stall_over(PyObject *ring, PyObject *unused);

/* -- _ring_follow.c --------------------------------------------------------------------------- */

/* Which greenlet of which hub an object is, of those that are followed (0: none of them); NULL: nobody is. */
extern uint64_t (*ring_followed)(PyObject *greenlet, uint32_t *hub);

/* -- _figures.c ------------------------------------------------------------------------------- */

NOTE(figures);

/* -- _watchdog.c ------------------------------------------------------------------------------ */

/* From here on the watchdog looks after this ring, whose hub runs in this thread. */
PyObject *ring_watch(Ring *ring, PyObject *path);

/* The hub of this ring polls in that code object's frames, and in no other's. */
PyObject *ring_idles_in(Ring *ring, PyObject *code);

/* Not any more; to be called before the ring's memory goes. */
void watch_forget(Ring *ring);

int watchdog_ready(void); /* once, before all else; -1: no memory */
PyObject *watchdog_start(PyObject *module, PyObject *args);
PyObject *watchdog_stop(PyObject *module, PyObject *unused);
PyObject *watchdog_trigger(PyObject *module, PyObject *reason);
PyObject *watchdog_before_fork(PyObject *module, PyObject *unused); /* _watchforks.c */
PyObject *watchdog_after_fork(PyObject *module, PyObject *unused);

#endif
