/* Stacks in words: one thread's as text for a stall, everybody's as JSON for whoever asks.
 *
 * Ten thousand parked greenlets stand on few different lines. So the answer names each place once, and a
 * stack is the numbers of its places. With the GIL, no line of Python runs in here: nothing is freed by this
 * thread that belongs to another, and what is seen is one moment.
 */
#include "_watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEEPEST 256 /* frames of one stack */
#define HUB     1   /* the first that a ring hears of: Hub.__init__ */

/* -- text ------------------------------------------------------------------------------------- */

void
text_add(Text *text, const char *bytes, size_t length)
{
    if (text->failed)
        return;
    if (text->used + length + 1 > text->size) {
        size_t size = (text->size + length + 1) * 2;
        char *data = realloc(text->data, size);
        if (data == NULL) {
            text->failed = 1;
            return;
        }
        text->data = data;
        text->size = size;
    }
    memcpy(text->data + text->used, bytes, length);
    text->used += length;
    text->data[text->used] = 0;
}

void
text_format(Text *text, const char *format, ...)
{
    char piece[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (length > 0)
        text_add(text, piece, (size_t) length < sizeof piece ? (size_t) length : sizeof piece - 1);
}

void
text_quote(Text *text, const char *bytes, size_t length)
{
    text_add(text, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) bytes[i];
        if (byte == '"' || byte == '\\')
            text_add(text, "\\", 1);
        if (byte < 0x20)
            text_format(text, "\\u%04x", byte);
        else
            text_add(text, bytes + i, 1);
    }
    text_add(text, "\"", 1);
}

void
text_clear(Text *text)
{
    free(text->data);
    memset(text, 0, sizeof *text);
}

size_t
stacks_text(uintptr_t thread, char *text, size_t size)
{
    static Place places[DEEPEST]; /* under the lock */
    static PlaceName name;
    size_t used = 0;
    int count = walk_thread(thread, places, DEEPEST);
    for (int i = 0; i < count; i++) {
        if (name_place(&places[i], &name) < 0)
            break;
        /* Room is kept for the line that says how many more there are. */
        int wrote =
            snprintf(text + used, size - used, "%s%s\t%d\t%s", used ? "\n" : "", name.file, name.line, name.function);
        if (wrote < 0 || used + (size_t) wrote + 40 > size) {
            if (used)
                used += (size_t) snprintf(text + used, size - used, "\n\t0\t(%d%s more frames)", count - i,
                                          count == DEEPEST ? " or" : "");
            break;
        }
        used += (size_t) wrote;
    }
    return used;
}

/* -- places, each once ------------------------------------------------------------------------ */

typedef struct {
    uint64_t key[2];
    uint32_t number; /* + 1; 0: free */
} Known;

typedef struct {
    Known *known;
    size_t size, count;
    Text names; /* the places, as JSON, in the order of their numbers */
} Places;

static void
places_name(Text *names, const char *file, size_t file_length, long line, const char *function, size_t length)
{
    text_add(names, "[", 1);
    text_quote(names, file, file_length);
    text_format(names, ",%ld,", line);
    text_quote(names, function, length);
    text_add(names, "]", 1);
}

static Known *
places_find(Places *places, uint64_t first, uint64_t second)
{
    uint64_t hash = (first ^ second * UINT64_C(0x9E3779B97F4A7C15)) * UINT64_C(0xD6E8FEB86659FD93);
    size_t index = (size_t) (hash >> 32) & (places->size - 1);
    while (places->known[index].number &&
           (places->known[index].key[0] != first || places->known[index].key[1] != second))
        index = (index + 1) & (places->size - 1);
    return &places->known[index];
}

/* Where a place is, or is to be, noted; NULL: no memory. */
static Known *
places_at(Places *places, uint64_t first, uint64_t second)
{
    if ((places->count + 1) * 2 > places->size) {
        Places larger = {.size = places->size ? places->size * 2 : 256};
        larger.known = calloc(larger.size, sizeof *larger.known);
        if (larger.known == NULL)
            return NULL;
        for (size_t i = 0; i < places->size; i++)
            if (places->known[i].number)
                *places_find(&larger, places->known[i].key[0], places->known[i].key[1]) = places->known[i];
        free(places->known);
        places->known = larger.known;
        places->size = larger.size;
    }
    return places_find(places, first, second);
}

static uint32_t
places_take(Places *places, Known *at, uint64_t first, uint64_t second)
{
    at->key[0] = first;
    at->key[1] = second;
    at->number = (uint32_t) ++places->count;
    if (places->count > 1)
        text_add(&places->names, ",", 1);
    return at->number;
}

static void
add_stack(Text *answer, Places *places, const Place *found, int count)
{
    PlaceName name;
    int first = 1;
    text_add(answer, "[", 1);
    for (int i = 0; i < count; i++) {
        Known *at = places_at(places, found[i].code, found[i].at);
        uint32_t number = at != NULL ? at->number : 0;
        if (at != NULL && number == 0 && name_place(&found[i], &name) == 0) {
            number = places_take(places, at, found[i].code, found[i].at);
            places_name(&places->names, name.file, strlen(name.file), name.line, name.function, strlen(name.function));
        }
        if (number == 0)
            break;
        text_format(answer, first ? "%u" : ",%u", number - 1);
        first = 0;
    }
    text_add(answer, "]", 1);
}

/* -- who runs --------------------------------------------------------------------------------- */

/* What is known of a hub without the GIL, kept when the lock is given back. */
typedef struct {
    uintptr_t thread;
    uint64_t hub, thread_id;
    Doing doing;
    char *path;
} HubSeen;

static HubSeen *
hubs_seen(int *count)
{
    HubSeen *hubs = NULL;
    *count = 0;
    for (Watched *ring = watched; ring != NULL; ring = ring->next) {
        HubSeen *more = ring->base != NULL ? realloc(hubs, (size_t) (*count + 1) * sizeof *hubs) : NULL;
        if (more == NULL)
            continue;
        hubs = more;
        watch_look(ring, UINT64_MAX);
        hubs[*count] = (HubSeen){
            ring->thread,
            header_u32(ring, GS_HEADER_HUB),
            header_u64(ring, GS_HEADER_THREAD_ID),
            ring->doing,
            ring->path != NULL ? strdup(ring->path) : NULL,
        };
        ++*count;
    }
    return hubs;
}

static void
add_hubs(Text *answer, Places *places, HubSeen *hubs, int count)
{
    Place found[DEEPEST];
    text_format(answer, "\"hubs\":[");
    for (int i = 0; i < count; i++) {
        HubSeen *hub = &hubs[i];
        text_format(answer,
                    "%s{\"hub\":%llu,\"thread_id\":%llu,\"greenlet\":%llu,\"since_ns\":%llu,\"polls\":%s,\"ring\":",
                    i ? "," : "", (unsigned long long) hub->hub, (unsigned long long) hub->thread_id,
                    (unsigned long long) hub->doing.greenlet, (unsigned long long) hub->doing.since_ns,
                    hub->doing.polls ? "true" : "false");
        if (hub->path != NULL)
            text_quote(answer, hub->path, strlen(hub->path));
        else
            text_add(answer, "null", 4);
        text_format(answer, ",\"stack\":");
        add_stack(answer, places, found, walk_thread(hub->thread, found, DEEPEST));
        text_add(answer, "}", 1);
        free(hub->path);
    }
    text_add(answer, "]", 1);
    free(hubs);
}

/* -- who waits, with the GIL ------------------------------------------------------------------ */

/* An attribute that a class stores in its objects, by no code of its own. */
static PyObject *
stored(PyObject *object, const char *name)
{
    PyObject *key = PyUnicode_InternFromString(name);
    PyObject *value = key != NULL ? PyObject_GenericGetAttr(object, key) : NULL;
    Py_XDECREF(key);
    if (value == NULL)
        PyErr_Clear();
    return value;
}

static unsigned long long
stored_number(PyObject *object, const char *name)
{
    PyObject *value = object != NULL ? stored(object, name) : NULL;
    unsigned long long number = value != NULL && PyLong_Check(value) ? PyLong_AsUnsignedLongLongMask(value) : 0;
    Py_XDECREF(value);
    return number;
}

/* The type of all greenlets; borrowed, NULL: the program has none. */
static PyTypeObject *
greenlet_type(void)
{
    PyObject *modules = PyImport_GetModuleDict(), *module = PyDict_GetItemString(modules, "greenlet._greenlet");
    PyObject *type = module != NULL ? stored(module, "greenlet") : NULL;
    Py_XDECREF(type); /* its module keeps it */
    return type != NULL && PyType_Check(type) ? (PyTypeObject *) type : NULL;
}

static int
add_greenlet(Text *answer, Places *places, PyObject *greenlet, int first)
{
    Place found[DEEPEST];
    PyObject *frame = stored(greenlet, "gr_frame"), *state, *hub;
    if (frame == NULL || !PyFrame_Check(frame)) {
        Py_XDECREF(frame);
        return 0;
    }
    state = stored(greenlet, "_state");
    hub = state != NULL ? stored(state, "hub") : NULL;
    uint32_t hub_number = (uint32_t) stored_number(hub, "number");
    uint64_t handle = stored_number(state, "handle");
    if (handle == 0 && ring_followed != NULL)
        handle = ring_followed(greenlet, &hub_number);
    text_format(answer, "%s{\"hub\":%u,\"greenlet\":%llu,\"stack\":", first ? "" : ",", hub_number,
                (unsigned long long) (handle & ID_MASK));
    add_stack(answer, places, found, walk_frame(frame, found, DEEPEST));
    text_add(answer, "}", 1);
    Py_DECREF(frame);
    Py_XDECREF(state);
    Py_XDECREF(hub);
    return 1;
}

/* There is no list of greenlets, for keeping one would cost every spawn; the garbage collector has one. Its
 * list of all objects is dropped before the GIL is, so no last reference can become ours. */
static void
add_parked(Text *answer, Places *places)
{
    PyTypeObject *type = greenlet_type();
    PyObject *gc = PyDict_GetItemString(PyImport_GetModuleDict(), "gc"), *get, *all = NULL;
    int collects = PyGC_Disable(), first = 1;
    if (gc == NULL)
        gc = PyImport_ImportModule("gc");
    else
        Py_INCREF(gc);
    get = gc != NULL && type != NULL ? stored(gc, "get_objects") : NULL;
    if (get != NULL && PyCFunction_Check(get))
        all = PyObject_CallNoArgs(get);
    for (Py_ssize_t i = 0; all != NULL && i < PyList_GET_SIZE(all); i++)
        if (PyObject_TypeCheck(PyList_GET_ITEM(all, i), type) &&
            add_greenlet(answer, places, PyList_GET_ITEM(all, i), first))
            first = 0;
    Py_XDECREF(all);
    Py_XDECREF(get);
    Py_XDECREF(gc);
    PyErr_Clear();
    if (collects)
        PyGC_Enable();
}

/* -- who waits, without it -------------------------------------------------------------------- */

static void
ring_text(Watched *ring, uint32_t id, const char **text, size_t *length)
{
    uint64_t used = header_u64(ring, GS_HEADER_STRING_USED);
    const uint8_t *strings = ring->base + header_u64(ring, GS_HEADER_STRING_OFFSET);
    uint32_t size;
    *text = "?";
    *length = 1;
    if ((uint64_t) id + 4 > used)
        return;
    memcpy(&size, strings + id, 4);
    if (size > used - id - 4)
        return;
    *text = (const char *) strings + id + 4;
    *length = size;
}

/* A call site, and those of its callers where they were recorded. */
static void
add_sites(Text *answer, Places *places, Watched *ring, uint32_t site)
{
    const uint8_t *sites = ring->base + header_u64(ring, GS_HEADER_SITE_OFFSET);
    text_add(answer, "[", 1);
    for (int depth = 0; depth < DEEPEST && site != 0 && site < header_u32(ring, GS_HEADER_SITE_COUNT); depth++) {
        uint32_t fields[4]; /* file, function, line, caller */
        const char *file, *function;
        size_t file_length, length;
        memcpy(fields, sites + (size_t) site * GS_RING_SITE_SIZE, sizeof fields);
        Known *at = places_at(places, (uintptr_t) ring, site);
        if (at == NULL)
            break;
        if (at->number == 0) {
            places_take(places, at, (uintptr_t) ring, site);
            ring_text(ring, fields[0], &file, &file_length);
            ring_text(ring, fields[1], &function, &length);
            places_name(&places->names, file, file_length, (long) fields[2], function, length);
        }
        text_format(answer, depth ? ",%u" : "%u", at->number - 1);
        site = fields[3];
    }
    text_add(answer, "]", 1);
}

static void
add_waiting(Text *answer, Places *places, Watched *ring, int *first)
{
    const uint8_t *slots = ring->base + header_u64(ring, GS_HEADER_SLOT_OFFSET);
    uint32_t used = header_u32(ring, GS_HEADER_SLOT_USED);
    for (uint32_t i = 0; i < used; i++) {
        const uint8_t *slot = slots + (size_t) i * GS_RING_SLOT_SIZE;
        uint64_t greenlet;
        uint32_t before = atomic_load_explicit((_Atomic uint32_t *) slot, memory_order_acquire), site;
        memcpy(&greenlet, slot + GS_SLOT_GREENLET, 8);
        memcpy(&site, slot + GS_SLOT_SITE, 4);
        uint8_t state = slot[GS_SLOT_STATE];
        atomic_thread_fence(memory_order_acquire);
        if ((before & 1) || before != atomic_load_explicit((_Atomic uint32_t *) slot, memory_order_relaxed) ||
            greenlet == HUB || (state != GS_STATE_WAITING && state != GS_STATE_READY))
            continue;
        text_format(answer, "%s{\"hub\":%u,\"greenlet\":%llu,\"stack\":", *first ? "" : ",",
                    header_u32(ring, GS_HEADER_HUB), (unsigned long long) greenlet);
        add_sites(answer, places, ring, site);
        text_add(answer, "}", 1);
        *first = 0;
    }
}

/* -- the answer ------------------------------------------------------------------------------- */

void
stacks_answer(Text *answer, int with_gil)
{
    Places places = {0};
    HubSeen *hubs;
    int count, first = 1;
    text_format(answer, "{\"pid\":%ld,\"now_ns\":%llu,\"gil\":%s,", (long) getpid(), (unsigned long long) real_ns(),
                with_gil ? "true" : "false");
    if (with_gil)
        watch_lock_soon();
    else
        pthread_mutex_lock(&watch_lock);
    hubs = hubs_seen(&count);
    if (with_gil)
        pthread_mutex_unlock(&watch_lock);
    add_hubs(answer, &places, hubs, count);
    text_format(answer, ",\"greenlets\":[");
    if (with_gil)
        add_parked(answer, &places);
    else
        for (Watched *ring = watched; ring != NULL; ring = ring->next)
            if (ring->base != NULL)
                add_waiting(answer, &places, ring, &first);
    if (!with_gil)
        pthread_mutex_unlock(&watch_lock);
    text_format(answer, "],\"places\":[");
    if (places.names.used)
        text_add(answer, places.names.data, places.names.used);
    answer->failed |= places.names.failed;
    text_add(answer, "]}\n", 3);
    text_clear(&places.names);
    free(places.known);
}
