/* What is waited for and held: locks, queues, events, greenlets that are joined; who holds it, who waits, longest
 * first.
 *
 * It gets a number, and is known by its address, when somebody parks on it; a lock when it is first taken, because who
 * holds it is asked later. A weak reference forgets it.
 */
#include "_gevent.h"

typedef struct {
    PyWeakReference base;
    Resource *resource;
} Ref;

static PyTypeObject *ref_type;
static PyObject *freed_function;
static Resource **places;
static size_t size, count;

/* -- what is waited for ----------------------------------------------------------------------- */

static inline size_t
place_of(const PyObject *object, size_t of)
{
    return (size_t) (((uint64_t) (uintptr_t) object * UINT64_C(0x9E3779B97F4A7C15)) >> 24) & (of - 1);
}

Resource *
resource_of(PyObject *object)
{
    Resource *resource = size ? places[place_of(object, size)] : NULL;
    while (resource != NULL && resource->object != object)
        resource = resource->next;
    return resource;
}

static void
resource_free(Resource *resource)
{
    Resource **at = &places[place_of(resource->object, size)];
    while (*at != resource)
        at = &(*at)->next;
    *at = resource->next;
    count--;
    for (Entry *entry = resource->first; entry != NULL; entry = entry->behind)
        entry->on = NULL;
    Py_XDECREF(resource->weak);
    PyMem_Free(resource);
}

static PyObject *
freed(PyObject *Py_UNUSED(module), PyObject *weak)
{
    if (PyObject_TypeCheck(weak, ref_type) && ((Ref *) weak)->resource != NULL)
        resource_free(((Ref *) weak)->resource);
    Py_RETURN_NONE;
}

static PyMethodDef freed_method = {"freed", freed, METH_O, NULL};

static int
table_grow(void)
{
    size_t larger = size ? size * 2 : 256;
    Resource **new = PyMem_Calloc(larger, sizeof *new);
    if (new == NULL)
        return -1;
    for (size_t i = 0; i < size; i++)
        for (Resource *resource = places[i], *next; resource != NULL; resource = next) {
            size_t place = place_of(resource->object, larger);
            next = resource->next;
            resource->next = new[place];
            new[place] = resource;
        }
    PyMem_Free(places);
    places = new;
    size = larger;
    return 0;
}

/* The same, made if it is not known yet; NULL: it cannot be known. Its number is another one in another ring. */
Resource *
resource_for(PyObject *object, int kind, Thread *thread)
{
    Resource *resource = resource_of(object);
    if (resource == NULL) {
        if (count >= size && table_grow() < 0)
            return NULL;
        PyObject *weak = PyObject_CallFunctionObjArgs((PyObject *) ref_type, object, freed_function, NULL);
        if (weak == NULL || (resource = PyMem_Calloc(1, sizeof *resource)) == NULL) {
            PyErr_Clear();
            Py_XDECREF(weak);
            return NULL;
        }
        ((Ref *) weak)->resource = resource;
        size_t place = place_of(object, size);
        *resource = (Resource){.next = places[place], .object = object, .weak = weak, .kind = kind};
        places[place] = resource;
        count++;
    }
    if (resource->life != thread->life) {
        resource->life = thread->life;
        resource->number = ring->resource(thread->ring);
        resource->holder = resource->told_by = resource->told_ns = 0;
        resource->held = 0;
    }
    return resource;
}

/* -- who waits, who holds --------------------------------------------------------------------- */

/* The first of the line, who has waited longest, is told who holds it; the others are when they come first. */
static void
name_holder(Resource *resource)
{
    Entry *first = resource->first;
    if (first != NULL && first->state == PARKED && first->reason == GS_WAIT_LOCK &&
        first->thread->life == resource->life)
        ring->awaits(first->thread->ring, first->handle, resource->number,
                     resource->held == 1 && !resource->signals ? resource->holder : 0);
}

void
line_join(Entry *entry, Resource *resource)
{
    entry->ahead = resource->last;
    entry->behind = NULL;
    entry->on = resource;
    *(entry->ahead != NULL ? &entry->ahead->behind : &resource->first) = entry;
    resource->last = entry;
}

void
line_leave(Entry *entry)
{
    Resource *resource = entry->on;
    if (resource == NULL)
        return;
    *(entry->ahead != NULL ? &entry->ahead->behind : &resource->first) = entry->behind;
    *(entry->behind != NULL ? &entry->behind->ahead : &resource->last) = entry->ahead;
    if (entry->ahead == NULL)
        name_holder(resource);
    entry->ahead = entry->behind = NULL;
    entry->on = NULL;
}

void
resource_acquired(Resource *resource, Thread *thread, uint64_t me)
{
    resource->holder = me;
    resource->held++;
    if (resource->first != NULL)
        name_holder(resource);
    if (ring->detail(thread->ring) >= GS_DETAIL_IO)
        ring->acquire(thread->ring, 0, resource->kind, 0, resource->number, 0);
}

void
resource_told(Resource *resource, Thread *thread, uint64_t me)
{
    resource->told_by = me;
    resource->told_ns = ring->now(thread->ring);
    if (ring->detail(thread->ring) >= GS_DETAIL_IO)
        ring->release(thread->ring, resource->kind, resource->number, 0);
}

void
resource_released(Resource *resource, Thread *thread, uint64_t me)
{
    if (resource->holder && resource->holder != me)
        resource->signals = 1; /* it is no lock, but a sign that one greenlet gives another */
    resource->holder = 0;
    if (resource->held > 0)
        resource->held--;
    resource_told(resource, thread, me);
}

static PyType_Slot ref_slots[] = {{0, NULL}};
static PyType_Spec ref_spec = {
    .name = "greenscope.integrations.gevent._gevent.ResourceRef",
    .basicsize = sizeof(Ref),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = ref_slots,
};

int
resources_ready(PyObject *module)
{
    ref_type = (PyTypeObject *) PyType_FromSpecWithBases(&ref_spec, (PyObject *) &_PyWeakref_RefType);
    freed_function = PyCFunction_New(&freed_method, module);
    return ref_type == NULL || freed_function == NULL ? -1 : 0;
}
