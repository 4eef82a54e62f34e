/* What a thread does in the kernel: whether it computes there and elsewhere, or waits, and in which call.
 *
 * Asked once a stall, when it begins, and so free otherwise. The kernel tells it of our own threads in
 * /proc/self/task/TID/syscall: the word "running", or the number of the call that the thread is blocked in, with its
 * arguments. A thread that is only kept off the processor counts as running. Where there is no such file (a kernel
 * without it, a sandbox), it is not known.
 *
 * Two things look alike and are not:
 *
 *   - A wait for the interpreter's lock is a wait on a futex as one for any lock is. But CPython gives up after its
 *     switch interval (5 ms) each time, in order to ask again, and a lock that the program waits for either has no
 *     deadline or one that is farther away.
 *   - A `read` is that of a file, a pipe or a socket, which the descriptor says.
 */
#include "_watch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS       6
#define GIL_ASKS_WITHIN (20 * NS_A_MS) /* four switch intervals */

typedef struct {
    long number;
    uint8_t blocked;
} Meaning;

/* Numbers differ between machines, and not every machine has every call. */
static const Meaning meanings[] = {
#ifdef SYS_nanosleep
    {SYS_nanosleep, GS_BLOCKED_SLEEP},
#endif
#ifdef SYS_clock_nanosleep
    {SYS_clock_nanosleep, GS_BLOCKED_SLEEP},
#endif
#ifdef SYS_recvfrom
    {SYS_recvfrom, GS_BLOCKED_RECEIVE},
#endif
#ifdef SYS_recvmsg
    {SYS_recvmsg, GS_BLOCKED_RECEIVE},
#endif
#ifdef SYS_recvmmsg
    {SYS_recvmmsg, GS_BLOCKED_RECEIVE},
#endif
#ifdef SYS_sendto
    {SYS_sendto, GS_BLOCKED_SEND},
#endif
#ifdef SYS_sendmsg
    {SYS_sendmsg, GS_BLOCKED_SEND},
#endif
#ifdef SYS_sendmmsg
    {SYS_sendmmsg, GS_BLOCKED_SEND},
#endif
#ifdef SYS_sendfile
    {SYS_sendfile, GS_BLOCKED_SEND},
#endif
#ifdef SYS_connect
    {SYS_connect, GS_BLOCKED_CONNECT},
#endif
#ifdef SYS_accept
    {SYS_accept, GS_BLOCKED_ACCEPT},
#endif
#ifdef SYS_accept4
    {SYS_accept4, GS_BLOCKED_ACCEPT},
#endif
#ifdef SYS_poll
    {SYS_poll, GS_BLOCKED_POLL},
#endif
#ifdef SYS_ppoll
    {SYS_ppoll, GS_BLOCKED_POLL},
#endif
#ifdef SYS_select
    {SYS_select, GS_BLOCKED_POLL},
#endif
#ifdef SYS_pselect6
    {SYS_pselect6, GS_BLOCKED_POLL},
#endif
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, GS_BLOCKED_POLL},
#endif
#ifdef SYS_epoll_pwait
    {SYS_epoll_pwait, GS_BLOCKED_POLL},
#endif
#ifdef SYS_wait4
    {SYS_wait4, GS_BLOCKED_CHILD},
#endif
#ifdef SYS_waitid
    {SYS_waitid, GS_BLOCKED_CHILD},
#endif
#ifdef SYS_vfork
    {SYS_vfork, GS_BLOCKED_CHILD},
#endif
    {SYS_read, GS_BLOCKED_FILE},
    {SYS_pread64, GS_BLOCKED_FILE},
    {SYS_readv, GS_BLOCKED_FILE},
    {SYS_write, GS_BLOCKED_FILE},
    {SYS_pwrite64, GS_BLOCKED_FILE},
    {SYS_writev, GS_BLOCKED_FILE},
    {SYS_fsync, GS_BLOCKED_FILE},
    {SYS_fdatasync, GS_BLOCKED_FILE},
    {SYS_sync, GS_BLOCKED_FILE},
    {SYS_flock, GS_BLOCKED_FILE},
    {SYS_fcntl, GS_BLOCKED_FILE},
    {SYS_openat, GS_BLOCKED_FILE},
    {SYS_ftruncate, GS_BLOCKED_FILE},
#ifdef SYS_open
    {SYS_open, GS_BLOCKED_FILE},
#endif
#ifdef SYS_stat
    {SYS_stat, GS_BLOCKED_FILE},
#endif
#ifdef SYS_newfstatat
    {SYS_newfstatat, GS_BLOCKED_FILE},
#endif
#ifdef SYS_getdents64
    {SYS_getdents64, GS_BLOCKED_FILE},
#endif
    /* Whoever computes asks for memory, and may have to wait a moment for another thread that does. */
    {SYS_mmap, GS_BLOCKED_RUNNING},
    {SYS_munmap, GS_BLOCKED_RUNNING},
    {SYS_mremap, GS_BLOCKED_RUNNING},
    {SYS_mprotect, GS_BLOCKED_RUNNING},
    {SYS_madvise, GS_BLOCKED_RUNNING},
    {SYS_brk, GS_BLOCKED_RUNNING},
    {SYS_sched_yield, GS_BLOCKED_RUNNING},
};

/* The beginning of a small file, or of what a link leads to; empty if it cannot be had. */
static void
task_file(uint64_t thread, const char *name, int link, char *text, size_t size)
{
    char path[96];
    ssize_t got = -1;
    snprintf(path, sizeof path, "/proc/self/task/%" PRIu64 "/%s", thread, name);
    if (link)
        got = readlink(path, text, size - 1);
    else {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            got = read(fd, text, size - 1);
            close(fd);
        }
    }
    text[got > 0 ? got : 0] = 0;
}

static uint8_t
futex_means(const uint64_t *arguments)
{
    int operation = (int) arguments[1], command = operation & FUTEX_CMD_MASK;
    struct timespec until, now = {0, 0};
    if (arguments[3] == 0 || peek((uintptr_t) arguments[3], &until, sizeof until) < 0)
        return GS_BLOCKED_LOCK;
    if (command != FUTEX_WAIT) /* that alone says for how long, and not until when */
        clock_gettime(operation & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
    double left_ns = (double) (until.tv_sec - now.tv_sec) * 1e9 + (double) (until.tv_nsec - now.tv_nsec);
    return left_ns <= (double) GIL_ASKS_WITHIN ? GS_BLOCKED_GIL : GS_BLOCKED_LOCK;
}

/* What is read or written, which the call does not say. */
static uint8_t
file_means(uint64_t thread, long number, uint64_t fd)
{
    char name[32], leads_to[16];
    if (number == SYS_openat)
        return GS_BLOCKED_FILE;
    snprintf(name, sizeof name, "fd/%" PRIu64, fd);
    task_file(thread, name, 1, leads_to, sizeof leads_to);
    if (strncmp(leads_to, "socket:", 7) == 0)
        return number == SYS_write || number == SYS_writev ? GS_BLOCKED_SEND : GS_BLOCKED_RECEIVE;
    return strncmp(leads_to, "pipe:", 5) == 0 ? GS_BLOCKED_PIPE : GS_BLOCKED_FILE;
}

uint8_t
call_of(uint64_t thread)
{
    char text[256];
    long number;
    uint64_t arguments[ARGUMENTS];
    task_file(thread, "syscall", 0, text, sizeof text);
    if (strncmp(text, "running", 7) == 0)
        return GS_BLOCKED_RUNNING;
    if (sscanf(text, "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64, &number, &arguments[0],
               &arguments[1], &arguments[2], &arguments[3], &arguments[4], &arguments[5]) < 1)
        return GS_BLOCKED_UNKNOWN;
    if (number < 0)
        return GS_BLOCKED_RUNNING; /* it has run into memory that has to be fetched */
#ifdef SYS_futex
    if (number == SYS_futex)
        return futex_means(arguments);
#endif
#ifdef SYS_futex_time64
    if (number == SYS_futex_time64)
        return futex_means(arguments);
#endif
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].number == number)
            return meanings[i].blocked == GS_BLOCKED_FILE ? file_means(thread, number, arguments[0])
                                                          : meanings[i].blocked;
    return GS_BLOCKED_OTHER;
}
