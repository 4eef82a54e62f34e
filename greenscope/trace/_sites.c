/* Strings and call sites: what an event's numbers stand for.
 *
 * Both sections only grow. A text is interned once; a call site, a place in a code object, is worked out
 * once and found again by the code's address, which the reference that is kept holds in place.
 */
#include "_frames.h"

#include "_ring.h"

#define SITE_INTERNAL UINT32_MAX
#define OF_CODE       (-1)                /* no place in it */
#define WITH_CALLERS  (UINT32_C(1) << 31) /* the site of a whole stack, though it be one of a single frame */

static uint32_t
intern(Ring *ring, PyObject *text)
{
    PyObject *found = PyDict_GetItemWithError(ring->strings, text), *data, *id;
    uint64_t used = ring->string_used, end;
    uint32_t length;
    if (found != NULL)
        return (uint32_t) PyLong_AsUnsignedLong(found);
    if (PyErr_Occurred() || (data = PyUnicode_AsEncodedString(text, "utf-8", "replace")) == NULL) {
        PyErr_Clear();
        return 0;
    }
    length = (uint32_t) PyBytes_GET_SIZE(data);
    end = used + 4 + ((length + UINT64_C(3)) & ~UINT64_C(3));
    if (ring->base == NULL || !has_room(ring, &ring->strings_at, end)) {
        store_u32(ring, GS_HEADER_STRINGS_LOST, ++ring->strings_lost);
        Py_DECREF(data);
        return 0;
    }
    uint8_t *at = ring->base + ring->strings_at.offset + used;
    memcpy(at, &length, 4);
    memcpy(at + 4, PyBytes_AS_STRING(data), length);
    Py_DECREF(data);
    ring->string_used = end;
    atomic_store_explicit((_Atomic uint64_t *) (ring->base + GS_HEADER_STRING_USED), end, memory_order_release);
    id = PyLong_FromUnsignedLong((unsigned long) used);
    if (id == NULL || PyDict_SetItem(ring->strings, text, id) < 0)
        PyErr_Clear();
    Py_XDECREF(id);
    return (uint32_t) used;
}

/* A class of strings may have a hash of its own, which may do anything. */
uint32_t
ring_intern(Ring *ring, PyObject *text)
{
    if (PyUnicode_GET_LENGTH(text) == 0) /* no error, as most of what ends has none */
        return 0;
    PyObject *exact = PyUnicode_CheckExact(text) ? Py_NewRef(text) : PyUnicode_FromObject(text);
    uint32_t id = exact != NULL ? intern(ring, exact) : 0;
    if (exact == NULL)
        PyErr_Clear();
    Py_XDECREF(exact);
    return id;
}

static inline uint32_t
known_start(Ring *ring, PyCodeObject *code, int lasti, uint32_t caller)
{
    uint64_t hash = ((uint64_t) (uintptr_t) code >> 4) * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t) lasti +
                    caller * UINT64_C(0xC2B2AE3D27D4EB4F);
    return (uint32_t) ((hash * UINT64_C(0x9E3779B97F4A7C15)) >> 40) & (ring->known_size - 1);
}

static KnownSite *
known_place(Ring *ring, PyCodeObject *code, int lasti, uint32_t caller)
{
    uint32_t index = known_start(ring, code, lasti, caller);
    for (;; index = (index + 1) & (ring->known_size - 1)) {
        KnownSite *place = &ring->known[index];
        if (place->code == NULL || (place->code == code && place->lasti == lasti && place->caller == caller))
            return place;
    }
}

static int
known_grow(Ring *ring)
{
    KnownSite *old = ring->known, *larger = PyMem_Calloc((size_t) ring->known_size * 2, sizeof *larger);
    uint32_t old_size = ring->known_size;
    if (larger == NULL)
        return -1;
    ring->known = larger;
    ring->known_size = old_size * 2;
    for (uint32_t i = 0; i < old_size; i++)
        if (old[i].code != NULL)
            *known_place(ring, old[i].code, old[i].lasti, old[i].caller) = old[i];
    PyMem_Free(old);
    return 0;
}

static int
is_below(PyObject *prefixes, PyCodeObject *code)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(prefixes); i++)
        if (PyUnicode_Tailmatch(code->co_filename, PyTuple_GET_ITEM(prefixes, i), 0, PY_SSIZE_T_MAX, -1) == 1)
            return 1;
    return 0;
}

static void
remember(Ring *ring, PyCodeObject *code, int lasti, uint32_t caller, uint32_t site, int plumbing)
{
    if (ring->known_count * 2 >= ring->known_size && known_grow(ring) < 0)
        return;
    *known_place(ring, code, lasti, caller) =
        (KnownSite){(PyCodeObject *) Py_NewRef((PyObject *) code), lasti, caller, site, plumbing};
    ring->known_count++;
}

/* Appends a site; 0 if there is no room for it. */
static uint32_t
append_site(Ring *ring, PyCodeObject *code, int lasti, uint32_t caller)
{
    if (ring->base == NULL || !has_room(ring, &ring->sites_at, (ring->site_count + UINT64_C(1)) * GS_RING_SITE_SIZE)) {
        store_u32(ring, GS_HEADER_SITES_LOST, ++ring->sites_lost);
        return 0;
    }
    int line = PyCode_Addr2Line(code, lasti);
    uint32_t fields[4] = {ring_intern(ring, code->co_filename), ring_intern(ring, code->co_qualname),
                          line > 0 ? (uint32_t) line : 0, caller};
    uint32_t site = ring->site_count++;
    memcpy(ring->base + ring->sites_at.offset + (uint64_t) site * GS_RING_SITE_SIZE, fields, sizeof fields);
    store_u32(ring, GS_HEADER_SITE_COUNT, ring->site_count);
    return site;
}

static uint32_t
new_site(Ring *ring, PyCodeObject *code, int lasti, int *plumbing)
{
    *plumbing = is_below(ring->plumbing, code);
    uint32_t site = is_below(ring->internal, code) ? SITE_INTERNAL : append_site(ring, code, lasti, 0);
    if (site != 0) /* there was room for it */
        remember(ring, code, lasti, 0, site, *plumbing);
    return site;
}

/* Where our own code is looked for before the table is: by its address alone, which `known` keeps from being reused. */
static inline PyCodeObject **
own_place(Ring *ring, PyCodeObject *code)
{
    uint64_t address = (uint64_t) (uintptr_t) code;
    return &ring->own[(address >> 4 ^ address >> 12) & (OWN_CODES - 1)];
}

/* The first frame that is neither our own nor plumbing; if there is none, the first that is not our own. */
static uint32_t
site_from(Ring *ring, Frame frame)
{
    uint32_t second_best = 0;
    for (; frame != NULL; frame = frame_back(frame)) {
        PyCodeObject *code = frame_code(frame), **own = own_place(ring, code);
        if (*own == code || !frame_runs(frame))
            continue;
        int lasti = frame_lasti(frame);
        KnownSite *place = known_place(ring, code, lasti, 0);
        int known = place->code != NULL, plumbing = place->plumbing;
        uint32_t site = known ? place->site : new_site(ring, code, lasti, &plumbing);
        if (site == SITE_INTERNAL) {
            if (known)
                *own = code;
        } else if (!plumbing) {
            frame_done(frame);
            return site;
        } else if (second_best == 0) {
            second_best = site;
        }
    }
    return second_best;
}

uint32_t
ring_site_here(Ring *ring)
{
    return site_from(ring, frame_here());
}

uint32_t
ring_site_of(Ring *ring, PyCodeObject *code, int lasti, int *plumbing)
{
    KnownSite *place = known_place(ring, code, lasti, 0);
    *plumbing = place->plumbing;
    uint32_t site = place->code != NULL ? place->site : new_site(ring, code, lasti, plumbing);
    return site != SITE_INTERNAL ? site : 0;
}

/* Whether a code is our own (SITE_INTERNAL), plumbing (1) or neither (0). Remembered as if it were a place of it, while
 * there is room for sites: a program that makes code all the time would have all of it kept. */
static uint32_t
class_of(Ring *ring, PyCodeObject *code)
{
    KnownSite *place = known_place(ring, code, OF_CODE, 0);
    if (place->code != NULL)
        return place->site;
    uint32_t class = is_below(ring->internal, code) ? SITE_INTERNAL : (uint32_t) is_below(ring->plumbing, code);
    if ((ring->site_count + UINT64_C(1)) * GS_RING_SITE_SIZE <= ring->sites_at.size)
        remember(ring, code, OF_CODE, 0, class, 0);
    return class;
}

/* The same site as ring_site_here's, with all that called it. From the outermost in, since a site names its
 * caller; of a deeper stack the outermost frames are left out. */
static uint32_t
stack_from(Ring *ring, Frame frame)
{
    PyCodeObject *codes[GS_RING_STACK_FRAMES];
    int lastis[GS_RING_STACK_FRAMES], count = 0, first = -1;
    for (; frame != NULL && count < GS_RING_STACK_FRAMES; frame = frame_back(frame)) {
        if (!frame_runs(frame))
            continue;
        codes[count] = frame_code(frame);
        lastis[count] = frame_lasti(frame);
        uint32_t class = class_of(ring, codes[count]);
        if (class != SITE_INTERNAL) {
            if (class == 0 && first < 0)
                first = count;
            count++;
        }
    }
    if (frame != NULL)
        frame_done(frame);
    uint32_t site = 0;
    for (int i = count - 1; i >= (first < 0 ? 0 : first); i--) {
        KnownSite *place = known_place(ring, codes[i], lastis[i], site | WITH_CALLERS);
        if (place->code != NULL) {
            site = place->site;
            continue;
        }
        uint32_t caller = site;
        site = append_site(ring, codes[i], lastis[i], caller);
        if (site != 0)
            remember(ring, codes[i], lastis[i], caller | WITH_CALLERS, site, 0);
    }
    return site;
}

uint32_t
ring_stack_here(Ring *ring)
{
    return stack_from(ring, frame_here());
}

/* Where somebody else stands, who has left `top`, a frame object of his. */
uint32_t
ring_place_of(Ring *ring, PyObject *top)
{
    Frame frame = frame_of((PyFrameObject *) top);
    return ring->stacks ? stack_from(ring, frame) : site_from(ring, frame);
}
