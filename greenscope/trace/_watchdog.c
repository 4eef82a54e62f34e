/* The watchdog: a native thread that looks after the hubs of this process.
 *
 * It owns the list of the process's rings, and the thread: one a process, started with the first ring, with
 * every signal blocked. It is no thread of Python's: patching does not reach it, `threading` does not count
 * it, and it never has the GIL. It looks whether a hub stalls when one could (_watchstalls.c), and twice within the
 * threshold at one that idles; beside that it answers on the socket (_watchserver.c), and makes the snapshots that
 * something has asked for (_snapshots.c). With no ring to look at it sleeps.
 *
 * It has a table of descriptors to itself: while two threads share one, the kernel counts references in every
 * system call of the program, 40 ns each. So nothing that the program opens stays open for it, and nothing that
 * it has is closed by a program that closes all it does not know.
 *
 * It can be paused, for a fork (_watchforks.c): the thread ends, everything else stays, and another goes on.
 *
 * A ring is on the list from `watch` until it is detached or freed, whichever comes first; both take the lock.
 */
#include "_watch.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_UNSHARE /* it came to the headers later than the call */
#define CLOSE_RANGE_UNSHARE (1u << 1)
#endif

#define STACK_BYTES (256 << 10)

pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
Watched *watched;

static _Atomic int waiting; /* for the lock, with the GIL */
static pthread_t thread;
static _Atomic pid_t thread_id;
static int running, paused, over; /* under the GIL; over: the interpreter ends, and there is no further one */
/* A pair of sockets: to the kernel all eventfds are one file. */
static _Atomic int wake_fd = -1;
static int hear_fd = -1;
static _Atomic int stopping, pausing, signalled;
static int own_files; /* by `own_descriptors` */
static char *directory;
static int directory_error; /* of the thread's beginning, when it is `ready` */
static sem_t ready;
static FileIdentity wake_file, hear_file;
static Thresholds thresholds;
static uint64_t from_ns; /* since when the thread was never late; its own */

FileIdentity
identity_of(int fd)
{
    struct stat now;
    FileIdentity none = {0};
    return fd >= 0 && fstat(fd, &now) == 0 ? (FileIdentity){now.st_dev, now.st_ino} : none;
}

int
is_still(int fd, FileIdentity file)
{
    FileIdentity now = identity_of(fd);
    return fd >= 0 && now.inode != 0 && now.device == file.device && now.inode == file.inode;
}

void
watch_lock_soon(void)
{
    atomic_fetch_add(&waiting, 1);
    pthread_mutex_lock(&watch_lock);
    atomic_fetch_sub(&waiting, 1);
}

int
watch_hurries(void)
{
    return atomic_load(&pausing) && pthread_equal(pthread_self(), thread);
}

int
watch_let_in(const Watched *ring)
{
    struct timespec moment = {0, 50000};
    uint64_t serial = ring->serial;
    if (atomic_load(&waiting) == 0)
        return 1;
    pthread_mutex_unlock(&watch_lock);
    while (atomic_load(&waiting) > 0)
        nanosleep(&moment, NULL);
    pthread_mutex_lock(&watch_lock);
    for (const Watched *one = watched; one != NULL; one = one->next)
        if (one->serial == serial)
            return one->base != NULL;
    return 0;
}

static int
open_wake(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -1;
    hear_fd = pair[0];
    hear_file = identity_of(hear_fd);
    wake_file = identity_of(pair[1]);
    return pair[1];
}

static void
close_wake(void)
{
    int fd = atomic_exchange(&wake_fd, -1);
    if (is_still(fd, wake_file))
        close(fd);
    if (is_still(hear_fd, hear_file))
        close(hear_fd);
    hear_fd = -1;
}

void
watch_wake(void)
{
    int kept_errno = errno, fd = atomic_load(&wake_fd);
    if (is_still(fd, wake_file))
        send(fd, "", 1, MSG_NOSIGNAL); /* if it is full, the thread will wake */
    errno = kept_errno;
}

/* -- the thread ------------------------------------------------------------------------------- */

/* Nobody waits for this after a fork, so the program may close a descriptor while it is done: what is above our two
 * is never copied, where it would stay open for a moment more; nor are these two ours by their numbers alone.
 * Where the kernel cannot do it (before 5.9), or a container refuses it, the table stays shared. */
static int
own_descriptors(void)
{
#ifdef SYS_close_range
    unsigned low = (unsigned) hear_fd, high = (unsigned) atomic_load(&wake_fd);
    if (low > high) {
        unsigned swapped = low;
        low = high;
        high = swapped;
    }
    if (syscall(SYS_close_range, high + 1, ~0u, CLOSE_RANGE_UNSHARE) < 0)
        return 0;
    if (low > 0)
        syscall(SYS_close_range, 0, low - 1, 0);
    if (high > low + 1)
        syscall(SYS_close_range, low + 1, high - 1, 0);
    if (!is_still(hear_fd, hear_file))
        close(hear_fd);
    if (!is_still(atomic_load(&wake_fd), wake_file))
        close(atomic_load(&wake_fd));
    return 1;
#else
    return 0;
#endif
}

/* At all rings that are due; when the next one is. */
static uint64_t
look(uint64_t now)
{
    uint64_t next = UINT64_MAX, late = thresholds.stall_ns / 2;
    if (late < 2 * NS_A_MS) /* what `poll` is late by itself */
        late = 2 * NS_A_MS;
    /* It was stopped. Of what was stopped for a whole threshold, half of that is seen at least; a little late is
     * everybody on a busy machine, where stalls are looked for most. */
    for (Watched *ring = watched; ring != NULL; ring = ring->next)
        if (ring->base != NULL && ring->due_ns != 0 && ring->due_ns < now && now - ring->due_ns > late)
            from_ns = now;
    for (Watched *ring = watched; ring != NULL; ring = ring->next) {
        if (ring->base == NULL)
            continue;
        if (ring->due_ns <= now)
            watch_one(ring, &thresholds, now, from_ns);
        if (ring->due_ns < next)
            next = ring->due_ns;
    }
    return next;
}

static void *
watch_run(void *Py_UNUSED(unused))
{
    struct pollfd polls[SERVER_POLLS];
    int fd, timeout = 0;
    char drained[256];
    prctl(PR_SET_NAME, "greenscope");
    atomic_store(&thread_id, (pid_t) syscall(SYS_gettid));
    own_files = own_descriptors();
    fd = is_still(hear_fd, hear_file) ? hear_fd : -1;
    directory_error = server_open(directory, own_files, atomic_load(&wake_fd)) < 0 ? errno : 0;
    sem_post(&ready); /* whoever goes on after a fork does not wait: the child has the processor for a while */
    while (!atomic_load(&stopping)) {
        int count = server_polls(polls + 1) + 1;
        polls[0] = (struct pollfd){.fd = own_files || is_still(fd, hear_file) ? fd : -1, .events = POLLIN};
        int heard = poll(polls, (nfds_t) count, timeout) > 0;
        if (heard && polls[0].revents && (own_files || is_still(fd, hear_file)) &&
            recv(fd, drained, sizeof drained, 0) == 0)
            fd = -1; /* the other end is closed, and this one would be ready for ever */
        uint64_t now = real_ns(), deadline;
        if (atomic_exchange(&signalled, 0))
            snapshot_ask(GS_SNAPSHOT_SIGNAL);
        pthread_mutex_lock(&watch_lock);
        uint64_t due = look(now);
        snapshot_asked();
        pthread_mutex_unlock(&watch_lock);
        server_work(now, heard);
        deadline = server_deadline();
        if (deadline == 0 || deadline > due)
            deadline = due;
        now = real_ns();
        if (deadline > now + NS_A_SECOND) /* and not for ever: the program may have closed what would wake it */
            deadline = now + NS_A_SECOND;
        timeout = deadline > now ? (int) ((deadline - now + NS_A_MS - 1) / NS_A_MS) : 0;
    }
    if (atomic_load(&pausing))
        server_leave(is_still(fd, hear_file) ? fd : -1);
    else
        server_close();
    return NULL;
}

int
watch_thread(pthread_t *created, void *(*run)(void *) )
{
    pthread_attr_t attributes;
    sigset_t every, before;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    int error = pthread_create(created, &attributes, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

/* Another, where there is none; an errno, and then what was left for it is gone. */
static int
thread_begins(void)
{
    if (!is_still(atomic_load(&wake_fd), wake_file) || !is_still(hear_fd, hear_file)) {
        close_wake();
        int fd = open_wake();
        if (fd < 0)
            return errno;
        atomic_store(&wake_fd, fd);
    }
    pthread_mutex_lock(&watch_lock);
    for (Watched *ring = watched; ring != NULL; ring = ring->next) /* that there was no thread is not to be late */
        ring->due_ns = 0;
    pthread_mutex_unlock(&watch_lock);
    atomic_store(&stopping, 0);
    sem_init(&ready, 0, 0);
    int error = watch_thread(&thread, watch_run);
    if (error)
        close_wake();
    return error;
}

/* With the GIL, which is let go meanwhile: the thread may wait for one that asks for it. */
static void
thread_ends(void)
{
    atomic_store(&stopping, 1);
    watch_wake();
    PyThreadState *state = PyEval_SaveThread();
    pthread_join(thread, NULL);
    watch_gone(&thread_id);
    PyEval_RestoreThread(state);
}

/* A thread that was joined is still one of the process's for a moment, in which the kernel counts it. */
void
watch_gone(_Atomic pid_t *id)
{
    struct timespec moment = {0, 20000};
    pid_t process = getpid(), ended = atomic_exchange(id, 0);
    /* Not for ever: whoever traces the process may keep it, and its number may be another's. */
    uint64_t late = real_ns() + NS_A_SECOND;
    for (int tries = 0; ended != 0 && syscall(SYS_tgkill, process, ended, 0) == 0 && real_ns() < late; tries++)
        if (tries < 20)
            sched_yield();
        else
            nanosleep(&moment, NULL);
}

int
watch_pause(void)
{
    if (running && !paused) {
        paused = 1;
        atomic_store(&pausing, 1);
        thread_ends();
        atomic_store(&pausing, 0);
    }
    return paused;
}

void
watch_resume(void)
{
    if (!paused || over)
        return;
    paused = 0;
    int error = thread_begins();
    if (error) {
        running = 0; /* the next hub tries again */
        PySys_WriteStderr("greenscope: after a fork the watchdog has no thread: %s\n", strerror(error));
    }
}

/* -- SIGUSR2 ---------------------------------------------------------------------------------- */

static void
on_signal(int Py_UNUSED(number))
{
    atomic_store(&signalled, 1);
    watch_wake();
}

/* Only where the program left it alone; its own handler, set later, takes the place of this one. */
static void
take_signal(void)
{
    struct sigaction ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigemptyset(&ours.sa_mask);
    if (sigaction(SIGUSR2, NULL, &before) == 0 && !(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL)
        sigaction(SIGUSR2, &ours, NULL);
}

/* -- forks ------------------------------------------------------------------------------------ */

static void
before_fork(void)
{
    watch_lock_soon();
}

static void
after_fork_in_parent(void)
{
    pthread_mutex_unlock(&watch_lock);
}

/* The child has one thread, which is not ours, and nothing of what its parent watches. */
static void
after_fork_in_child(void)
{
    struct sigaction now;
    close_wake();
    pthread_mutex_init(&watch_lock, NULL);
    atomic_store(&waiting, 0);
    for (Watched *ring = watched; ring != NULL; ring = ring->next) { /* at once: what is next may be a hook of Python */
        ring->base = ring->ring->base = NULL;
        ring->ring->slot_used = 0;
    }
    server_forked();
    running = paused = over = 0;
    atomic_store(&stopping, 0);
    atomic_store(&pausing, 0);
    atomic_store(&signalled, 0);
    if (sigaction(SIGUSR2, NULL, &now) == 0 && now.sa_handler == on_signal) {
        now.sa_handler = SIG_DFL;
        sigaction(SIGUSR2, &now, NULL);
    }
}

/* -- for Python ------------------------------------------------------------------------------- */

PyObject *
watchdog_start(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *path = NULL;
    unsigned long long threshold, kept_threshold;
    unsigned int kept;
    int error;
    if (!PyArg_ParseTuple(args, "O&KKI:watchdog_start", PyUnicode_FSConverter, &path, &threshold, &kept_threshold,
                          &kept))
        return NULL;
    if (running || over || threshold == 0) {
        Py_DECREF(path);
        Py_RETURN_NONE;
    }
    thresholds = (Thresholds){threshold, kept_threshold};
    snapshot_settings(kept);
    free(directory);
    directory = strdup(PyBytes_AS_STRING(path));
    from_ns = real_ns();
    error = directory == NULL ? ENOMEM : thread_begins();
    if (error == 0) {
        running = 1;
        while (sem_wait(&ready) < 0)
            ; /* a signal */
        error = directory_error;
        take_signal();
    }
    Py_DECREF(path);
    if (error) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

PyObject *
watchdog_stop(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    watch_resume(); /* a fork was the last thing */
    int was_running = running;
    running = 0;
    over = 1;
    if (was_running) {
        pthread_mutex_lock(&watch_lock);
        snapshot_asked();
        pthread_mutex_unlock(&watch_lock);
        thread_ends();
        close_wake();
    }
    Py_RETURN_NONE;
}

PyObject *
ring_watch(Ring *ring, PyObject *path)
{
    PyObject *encoded = NULL;
    static uint64_t serials; /* under the lock */
    Watched *entry;
    if (ring->base == NULL || ring->watched != NULL || !running)
        Py_RETURN_NONE;
    if (path != Py_None && !PyUnicode_FSConverter(path, &encoded))
        return NULL;
    entry = calloc(1, sizeof *entry);
    if (entry != NULL && encoded != NULL)
        entry->path = strdup(PyBytes_AS_STRING(encoded));
    if (entry == NULL || (encoded != NULL && entry->path == NULL)) {
        Py_XDECREF(encoded);
        free(entry);
        return PyErr_NoMemory();
    }
    Py_XDECREF(encoded);
    entry->ring = ring;
    entry->base = ring->base;
    entry->thread = (uintptr_t) PyThreadState_Get();
    memcpy(ring->base + GS_HEADER_STALL_NS, &thresholds.stall_ns, 8);
    ring->watched = entry;
    watch_lock_soon();
    entry->serial = ++serials;
    entry->next = watched;
    watched = entry;
    pthread_mutex_unlock(&watch_lock);
    watch_wake();
    Py_RETURN_NONE;
}

PyObject *
ring_idles_in(Ring *ring, PyObject *code)
{
    if (!PyCode_Check(code)) {
        PyErr_Format(PyExc_TypeError, "expected a code object, got %s", Py_TYPE(code)->tp_name);
        return NULL;
    }
    Py_XSETREF(ring->idles_in, Py_NewRef(code));
    if (ring->watched != NULL) {
        watch_lock_soon();
        ring->watched->idle_code = (uintptr_t) code;
        pthread_mutex_unlock(&watch_lock);
    }
    Py_RETURN_NONE;
}

void
watch_forget(Ring *ring)
{
    Watched *entry = ring->watched, **at = &watched;
    if (entry == NULL)
        return;
    ring->watched = NULL;
    pthread_mutex_lock(&watch_lock);
    if (entry->base != NULL) {
        snapshot_asked(); /* while it is still there */
        watch_last(entry);
    }
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    pthread_mutex_unlock(&watch_lock);
    free(entry->path);
    free(entry);
}

PyObject *
watchdog_trigger(PyObject *Py_UNUSED(module), PyObject *reason)
{
    unsigned long number = PyLong_AsUnsignedLong(reason);
    if (PyErr_Occurred())
        return NULL;
    if (running && snapshot_allowed((unsigned) number, real_ns()))
        snapshot_ask((unsigned) number);
    Py_RETURN_NONE;
}

int
watchdog_ready(void)
{
    static int registered;
    if (!registered && pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0)
        registered = 1;
    return registered ? 0 : -1;
}
