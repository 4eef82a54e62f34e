/* What the C files of the gevent integration share.
 *
 * _greenlets.c knows greenlets by their address, and threads; _names.c what they are called; _switches.c is greenlet's
 * tracer, which hears of every switch; _watchers.c makes classes of watchers that say what they watch, and _peers.c
 * what is at the other end; _told.c has methods of locks, queues and events note what they wait for, and _resources.c
 * knows those; _jobs.c is calls in threads; _gevent.c is the module.
 *
 * All of it runs in the program's own threads, with the GIL, between two lines of the program. So nothing here raises,
 * none of it calls the program's code, and what it cannot find out it leaves at 0.
 */
#ifndef GREENSCOPE_GEVENT_H
#define GREENSCOPE_GEVENT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../../trace/_ring_follow.h"
#include "../../trace/_ring_layout.h"

#define NUMBER ((UINT64_C(1) << GS_RING_HANDLE_BITS) - 1) /* of a handle, the greenlet's */

typedef struct Entry Entry;
typedef struct Watch Watch;

/* A thread that has a hub, and so a ring. */
typedef struct Thread {
    struct Thread *next;
    PyObject *ring;   /* the recorder; owned */
    PyObject *main;   /* its main greenlet; borrowed, only to be compared */
    PyObject *hub;    /* borrowed; NULL: not seen yet, or gone */
    PyObject *before; /* the tracer that was there before ours; owned, NULL: none */
    Entry *current;   /* who runs, as far as was heard; NULL: the hub */
    uint64_t hub_handle, poll_ns;
    uint64_t ended, ended_ns; /* who has ended last, a handle */
    uint32_t number;          /* the hub's, within the process */
    uint32_t life;            /* of this ring: what has a number in another one has none in it */
    int later;                /* a greenlet is being started that is to run later */
    int left;                 /* the ring is the parent's, of whom this process is a fork */
} Thread;

/* What a greenlet is in the middle of: a method of a lock, a queue, an event. */
typedef struct {
    PyObject *object; /* borrowed: it is an argument of a call that goes on; NULL: none */
    int reason, kind; /* Wait, Resource */
    int enters;       /* it is a `with` */
} Told;

/* What was waited for, or held. */
typedef struct Resource {
    struct Resource *next; /* of the same place in the table */
    PyObject *object, *weak;
    Entry *first, *last;       /* who waits, longest and shortest */
    uint64_t holder;           /* who acquired it last, a handle */
    uint64_t told_by, told_ns; /* who released it, set it, put into it, or ended */
    uint32_t number, life;     /* in that ring */
    int kind, held, signals;
} Resource;

enum { FRESH, READY, RUNS, PARKED };

#define TOLD 4 /* calls within calls that are noted */

/* A greenlet that was heard of and has not ended. */
struct Entry {
    Entry *next; /* of the same place in the table */
    PyObject *greenlet, *weak;
    Thread *thread;
    uint64_t handle;
    Watch *watch;          /* started to wait on: it parks on that, or has */
    Watch *timeouts;       /* that run for it */
    Resource *on;          /* parked on */
    Entry *ahead, *behind; /* of those that are parked on it */
    uint64_t killer, killed_ns, parked_ns;
    int state, reason, depth;
    Told told[TOLD];
};

/* What is added to gevent's watchers. */
struct Watch {
    Entry *waits;      /* who is about to park on it, or is parked */
    Entry *times;      /* whose timeout it is */
    Watch *next;       /* of its timeouts */
    PyObject *watcher; /* whose part this is; borrowed */
    uint64_t due_ns;
    double after;                   /* seconds, of a timer */
    uint32_t number, timeout, life; /* in that ring */
    int fd;
    char reason, origin, started, tries, socket;
    unsigned char peer_length;
    char peer[46];
};

extern const RingFollow *ring;
extern _Thread_local Thread *here;

/* gevent's own, kept with a reference; module_exec or `know` sets them. */
extern PyTypeObject *hub_type, *greenlet_type, *waiter_type;
extern PyObject *timeout_expires;

#define GREENLET_GET_CURRENT 4
#define GREENLET_STARTED     9
#define GREENLET_ACTIVE      10
extern void **greenlet_api; /* greenlet.h of greenlet 3 has what it is */
#define greenlet_current()       (((PyObject * (*)(void) ) greenlet_api[GREENLET_GET_CURRENT])())
#define greenlet_started(object) (((int (*)(PyObject *)) greenlet_api[GREENLET_STARTED])(object))
#define greenlet_active(object)  (((int (*)(PyObject *)) greenlet_api[GREENLET_ACTIVE])(object))

/* -- _greenlets.c ----------------------------------------------------------------------------- */

int greenlets_ready(PyObject *module);
Entry *entry_of(PyObject *greenlet);                                     /* NULL: never heard of */
Entry *entry_new(PyObject *greenlet, Thread *thread, int how, int here); /* NULL: no memory */
void entry_free(Entry *entry);
void entry_end(Entry *entry, int how);
Entry *running(Thread *thread); /* whose code this is; NULL: the hub's, or that of nobody known */
uint64_t deadline_ms(Entry *entry);

PyObject *thread_begin(PyObject *module, PyObject *args);
PyObject *thread_end(PyObject *module, PyObject *unused);
PyObject *thread_left(PyObject *module, PyObject *unused);
PyObject *on_fork(PyObject *module, PyObject *function);
int thread_goes_on(Thread *thread);
PyObject *spawned(PyObject *module, PyObject *greenlet);
PyObject *left_by(PyObject *module, PyObject *unused);
PyObject *handle_of(PyObject *module, PyObject *greenlet);

/* -- _switches.c ------------------------------------------------------------------------------ */

PyObject *switched(PyObject *module, PyObject *args);
PyObject *chain(PyObject *module, PyObject *before);
PyObject *know_code(PyObject *module, PyObject *args);
int switches_ready(void);

/* -- _watchers.c ------------------------------------------------------------------------------ */

PyObject *loop_class(PyObject *module, PyObject *libev);
PyObject *poll_begins(PyObject *module, PyObject *unused);
PyObject *poll_ends(PyObject *module, PyObject *loop);
Watch *timeout_that_fired(Entry *entry);
void watch_drop(Watch *watch); /* it is nobody's timeout any more */
int watchers_ready(void);

/* Whole milliseconds, not fewer than the time is. */
static inline uint32_t
milliseconds_of(double seconds)
{
    if (!(seconds > 0))
        return 0;
    return seconds >= 4294967.0 ? UINT32_MAX : (uint32_t) (seconds * 1000 + 0.999);
}

/* -- _peers.c --------------------------------------------------------------------------------- */

void ask_peer(Watch *watch); /* into its `peer` */

/* -- _names.c --------------------------------------------------------------------------------- */

PyObject *attribute(PyObject *object, PyObject *name); /* NULL and no error if there is none */
PyObject *own_attribute(PyObject *greenlet, PyObject *name);
uint32_t name_of(PyObject *greenlet, Thread *thread, int *numbered);
int names_ready(void);

/* -- _resources.c ----------------------------------------------------------------------------- */

Resource *resource_of(PyObject *object); /* NULL: it has no number yet */
Resource *resource_for(PyObject *object, int kind, Thread *thread);
void resource_acquired(Resource *resource, Thread *thread, uint64_t me);
void resource_released(Resource *resource, Thread *thread, uint64_t me);
void resource_told(Resource *resource, Thread *thread, uint64_t me); /* set, put into, released */
void line_join(Entry *entry, Resource *resource);
void line_leave(Entry *entry);
int resources_ready(PyObject *module);

/* -- _told.c ---------------------------------------------------------------------------------- */

PyObject *tell(PyObject *module, PyObject *args);
PyObject *telling(PyObject *module, PyObject *args);
int told_ready(PyObject *module);

/* -- _jobs.c ---------------------------------------------------------------------------------- */

PyObject *job(PyObject *module, PyObject *function);

#endif
