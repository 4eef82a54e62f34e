/* What the watchdog's C files share.
 *
 * _watchdog.c has the thread and the list of rings; _watchstalls.c notices stalls; _watchcalls.c asks the kernel what
 * a thread waits in; _stackwalk.c reads stacks without the GIL; _watchstacks.c puts them into words; _watchserver.c
 * answers on the socket; _snapshots.c copies rings; _watchforks.c has the thread away while the process forks. One
 * mutex guards the list of rings; it is held for milliseconds at most, and nobody waits for the GIL while holding it.
 */
#ifndef GREENSCOPE_WATCH_H
#define GREENSCOPE_WATCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "_ring.h"

#include <pthread.h>

#define HUB 1 /* the number of a ring's hub, which it hears of first: Hub.__init__ */
/* -- the rings -------------------------------------------------------------------------------- */

/* What the end of a ring says its thread does now. */
typedef struct {
    uint64_t number;   /* of the newest record that says so, + 1; 0: there is none yet */
    uint64_t since_ns; /* its time */
    uint64_t greenlet; /* what runs; the hub, between two greenlets */
    int polls;         /* it asks the kernel: it idles, or runs a callback of the loop */
} Doing;

/* How much its thread had computed at one look: the kernel was asked between the two times. */
typedef struct {
    uint64_t from_ns, to_ns, cpu_ns; /* UINT64_MAX: it did not say */
    int idle;                        /* the hub waited in its poll */
} Look;

#define LOOKS 8

typedef struct Watched {
    struct Watched *next;
    Ring *ring;        /* whose end forgets this first */
    uint64_t serial;   /* no other has it */
    uint8_t *base;     /* NULL: a fork left it to the parent */
    char *path;        /* NULL: in memory only */
    uintptr_t thread;  /* PyThreadState of the hub's thread; only ever read through `peek` */
    uint64_t due_ns;   /* when to look at it again; 0: at once */
    uint64_t seen;     /* records that were looked at */
    uint64_t switches; /* of these, those that say what runs; the hub has run from the second on */
    Doing doing;
    uint64_t idle_ns;                  /* when it was last seen to idle in a poll */
    uint64_t called_ns;                /* and since when at the latest it has called a function there, after that */
    uint64_t idle_number, idle_cpu_ns; /* `doing.number` of that one, and what its thread had computed then */
    uintptr_t idle_code;               /* the code object that was seen to call the poll */
    uint64_t stall_number;             /* `doing.number` of the stall that is on; 0: none */
    uint64_t stall_from_ns, stall_greenlet;
    uint64_t stall_cpu_ns; /* what its thread had computed when it began, at least; UINT64_MAX: not known */
    Look looks[LOOKS];     /* the last ones, each in the place of the oldest */
    unsigned looked;
    int stall_kept; /* a snapshot was made for it */
    unsigned asked; /* reasons for snapshots of it that are to be made, a bit each */
    int put_off;    /* one was given up for a fork; the next fork waits */
} Watched;

extern pthread_mutex_t watch_lock;
extern Watched *watched; /* under the lock */

/* The lock, for whoever has the GIL: who copies a ring lets him in between two pieces (`watch_let_in`). */
void watch_lock_soon(void);

/* Let those in who wait; 0, if the ring is gone after that, and nothing of it, nor its `next`, is there. */
int watch_let_in(const Watched *ring);

/* What is not in the ring's own thread's hands is read once, as it is in the file. */
static inline uint64_t
header_u64(const Watched *ring, size_t offset)
{
    return atomic_load_explicit((_Atomic uint64_t *) (ring->base + offset), memory_order_acquire);
}

static inline uint32_t
header_u32(const Watched *ring, size_t offset)
{
    return atomic_load_explicit((_Atomic uint32_t *) (ring->base + offset), memory_order_acquire);
}

/* -- _watchstalls.c --------------------------------------------------------------------------- */

/* Bring `doing` up to date; the time of the first record after number `after` that says what runs, 0 for none. */
uint64_t watch_look(Watched *ring, uint64_t after);

typedef struct {
    uint64_t stall_ns, kept_ns; /* from when on it is a stall; from when on one is worth a snapshot, 0: never */
} Thresholds;

/* Look at one ring, and say when to look again. `from`: since when the watchdog itself was never late. */
void watch_one(Watched *ring, const Thresholds *thresholds, uint64_t now, uint64_t from);

/* The ring is about to be closed. */
void watch_last(Watched *ring);

/* -- _watchcalls.c ---------------------------------------------------------------------------- */

/* What a thread of ours, by the system's number, does in the kernel at this moment: a GS_BLOCKED. */
uint8_t call_of(uint64_t thread);

/* -- _stackwalk.c ----------------------------------------------------------------------------- */

/* A frame, as found: where its code object and the instruction that it is at were. */
typedef struct {
    uintptr_t code, at;
} Place;

typedef struct {
    char file[1024];
    char function[512];
    int line;
} PlaceName;

/* Copy memory of this process that may be gone: 0, or -1 where there is none. */
int peek(uintptr_t from, void *to, size_t size);

/* The Python frames of a thread, innermost first, whoever holds the GIL: how many were found. */
int walk_thread(uintptr_t thread, Place *places, int limit);

/* Those of a greenlet that is parked, from its gr_frame on. */
int walk_frame(PyObject *frame, Place *places, int limit);

/* What a place is called: -1 if its code object is not there any more. */
int name_place(const Place *place, PlaceName *name);

/* -- _watchstacks.c --------------------------------------------------------------------------- */

/* A text that grows; once `failed`, no memory was to be had, and nothing more is added. */
typedef struct {
    char *data;
    size_t used, size;
    int failed;
} Text;

void text_add(Text *text, const char *bytes, size_t length);
void text_format(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_quote(Text *text, const char *bytes, size_t length); /* as a JSON string */
void text_clear(Text *text);

/* The stacks of all threads with hubs and of all parked greenlets, as JSON. With the GIL, exact; without it,
 * the call sites that the rings hold stand for the stacks of the parked. */
void stacks_answer(Text *answer, int with_gil);

/* The stack of one thread as text, innermost first, "file TAB line TAB function" a line, cut to `size`. */
size_t stacks_text(uintptr_t thread, char *text, size_t size);

/* -- _watchserver.c --------------------------------------------------------------------------- */

#define SERVER_POLLS 6 /* the listener, connections, and one to wake */
struct pollfd;

/* With what `server_leave` left in the queue of this socket, if anything. -1 and errno: there is no socket. */
int server_open(const char *directory, int own, int left);
int server_polls(struct pollfd *polls);    /* how many */
uint64_t server_deadline(void);            /* when it wants to be called at the latest; 0: never */
void server_work(uint64_t now, int heard); /* never blocks; `heard`: the poll has something to tell */
void server_close(void);                   /* and remove the socket */
void server_leave(int fd);                 /* all to the next thread, by this socket; -1: there is none */
void server_forked(void);                  /* it is the parent's */

/* -- _snapshots.c ----------------------------------------------------------------------------- */

#define SNAPSHOT_REASONS (GS_SNAPSHOT_STALL + 1)

void snapshot_settings(unsigned kept);               /* how many a directory keeps; 0: none are made by themselves */
int snapshot_allowed(unsigned reason, uint64_t now); /* not oftener than once a minute a reason */
void snapshot_ask(unsigned reason);                  /* of the watchdog; from any thread, or a signal's handler */
void snapshot_asked(void);                           /* make what was asked for; under the lock */
/* Copy one ring; `said` gets its path, or what went wrong. Under the lock. 1: the ring is gone; 2: not now. */
int snapshot_take(Watched *ring, unsigned reason, Text *said);

/* -- _watchdog.c ------------------------------------------------------------------------------ */

/* A program may have closed all descriptors that it does not know, and have the number again for its own. */
typedef struct {
    uint64_t device, inode;
} FileIdentity;

FileIdentity identity_of(int fd);
int is_still(int fd, FileIdentity file);

void watch_wake(void); /* have the thread look at what it was asked for; may be called in a signal's handler */
void watch_gone(_Atomic pid_t *id); /* until a thread that was joined is none of the process's any more */
int watch_hurries(void);            /* this is the watchdog's thread, and it is to end for a fork */
int watch_thread(pthread_t *thread, void *(*run)(void *) ); /* a native thread with every signal blocked */

/* With the GIL. What was watched, asked for and noticed stays; a stall that is on ends when the thread goes on. */
int watch_pause(void); /* whether it is paused then: it may not run at all */
void watch_resume(void);

#endif
