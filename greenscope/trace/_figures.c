/* What became of a greenlet's time, out of the ring that its own process writes.
 *
 * ring_figures.py is the same in Python and says what it means. Read once, when it is asked; nothing is counted
 * before. Who asks has the GIL, and so has the writer: no record changes meanwhile.
 */
#include "_ring.h"

/* Numbers of greenlets, by open addressing; 0 is an empty place, and no greenlet. */
typedef struct {
    uint64_t *places;
    size_t size, used;
} Numbers;

static inline size_t
place_of(const Numbers *numbers, uint64_t number)
{
    size_t place = (size_t) ((number * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (numbers->size - 1);
    while (numbers->places[place] != 0 && numbers->places[place] != number)
        place = (place + 1) & (numbers->size - 1);
    return place;
}

static inline int
has(const Numbers *numbers, uint64_t number)
{
    return numbers->used != 0 && numbers->places[place_of(numbers, number)] == number;
}

static int
add(Numbers *numbers, uint64_t number)
{
    if (numbers->used * 2 >= numbers->size) {
        Numbers larger = {NULL, numbers->size ? numbers->size * 2 : 16, numbers->used};
        if ((larger.places = PyMem_Calloc(larger.size, sizeof *larger.places)) == NULL)
            return -1;
        for (size_t i = 0; i < numbers->size; i++)
            if (numbers->places[i] != 0)
                larger.places[place_of(&larger, numbers->places[i])] = numbers->places[i];
        PyMem_Free(numbers->places);
        *numbers = larger;
    }
    size_t place = place_of(numbers, number);
    numbers->used += numbers->places[place] != number;
    numbers->places[place] = number;
    return 0;
}

typedef struct {
    int whole;
    uint64_t run, ready, waits[256];
    uint64_t below_run;
    Numbers below;
    /* The greenlet: the kind of its newest event, since when, and why it waits. */
    uint8_t state, reason;
    uint64_t since;
} Sums;

static inline void
close_at(Sums *sums, uint64_t at)
{
    switch (sums->state) {
    case GS_KIND_GREENLET_SWITCH:
        sums->run += at - sums->since;
        break;
    case GS_KIND_GREENLET_READY:
        sums->ready += at - sums->since;
        break;
    case GS_KIND_GREENLET_PARK:
        sums->waits[sums->reason] += at - sums->since;
    }
}

static int
sum_up(Ring *ring, uint64_t first, uint64_t last, uint64_t greenlet, Sums *sums)
{
    const Event *events = (const Event *) (ring->base + ring->events_at.offset);
    uint64_t capacity = ring->events_at.size / GS_RING_EVENT_SIZE, runs_since = 0;
    int one_runs = 0; /* one of those below */
    for (uint64_t number = first; number < ring->head; number++) {
        const Event *event = &events[number % capacity];
        uint8_t kind = event->kind;
        if (kind == GS_KIND_TEXT || kind > GS_KIND_GREENLET_EXIT)
            continue;
        uint64_t who = event->greenlet;
        int runs = kind == GS_KIND_GREENLET_SWITCH || kind == GS_KIND_GREENLET_THROW;
        if (event->time_ns > last)
            last = event->time_ns;
        if (kind == GS_KIND_GREENLET_SPAWN) {
            if ((event->arg == greenlet || has(&sums->below, event->arg)) && add(&sums->below, who) < 0)
                return -1;
        } else if (runs || kind == GS_KIND_GREENLET_PARK || kind == GS_KIND_GREENLET_EXIT) {
            if (one_runs)
                sums->below_run += last - runs_since;
            one_runs = runs && has(&sums->below, who);
            runs_since = last;
        }
        if (who != greenlet || kind == GS_KIND_GREENLET_SPAWN || kind == GS_KIND_GREENLET_NAME)
            continue;
        if (kind == GS_KIND_GREENLET_READY && sums->state == kind)
            continue; /* overtaken: it has been ready since */
        close_at(sums, last);
        sums->state = runs ? GS_KIND_GREENLET_SWITCH : kind;
        sums->reason = event->reason;
        sums->since = last;
    }
    uint64_t now = now_ns(ring);
    if (now < last)
        now = last;
    close_at(sums, now);
    if (one_runs)
        sums->below_run += now - runs_since;
    return 0;
}

static PyObject *
waits_of(const Sums *sums)
{
    PyObject *waits = PyDict_New();
    for (int reason = 0; waits != NULL && reason < 256; reason++) {
        if (sums->waits[reason] == 0)
            continue;
        PyObject *key = PyLong_FromLong(reason), *value = PyLong_FromUnsignedLongLong(sums->waits[reason]);
        if (key == NULL || value == NULL || PyDict_SetItem(waits, key, value) < 0)
            Py_CLEAR(waits);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return waits;
}

NOTE(figures)
{
    NUMBERS(4, Py_BuildValue("(OKK{}KK)", Py_False, 0ULL, 0ULL, 0ULL, 0ULL)); /* head, time_ns, handle, most */
    uint64_t capacity = ring->events_at.size / GS_RING_EVENT_SIZE;
    uint64_t kept = v[3] < capacity ? v[3] : capacity;
    uint64_t oldest = ring->head > kept ? ring->head - kept : 0;
    Sums sums = {0};
    sums.whole = oldest <= v[0] && v[0] <= ring->head;
    sums.state = sums.whole ? GS_KIND_GREENLET_SWITCH : 0;
    sums.since = v[1];
    PyObject *waits = NULL, *result = NULL;
    if (sum_up(ring, sums.whole ? v[0] : oldest, v[1], v[2] & ID_MASK, &sums) < 0)
        PyErr_NoMemory();
    else if ((waits = waits_of(&sums)) != NULL)
        result = Py_BuildValue("(OKKOKK)", sums.whole ? Py_True : Py_False, (unsigned long long) sums.run,
                               (unsigned long long) sums.ready, waits, (unsigned long long) sums.below.used,
                               (unsigned long long) sums.below_run);
    Py_XDECREF(waits);
    PyMem_Free(sums.below.places);
    return result;
}
