/* The watchdog's socket: PID.sock beside the rings, one request a connection, the answer in JSON.
 *
 *     stacks          what every greenlet of the process stands at, now
 *     detail LEVEL    switch, io or teach: how much is recorded from here on
 *     snapshot        copies of the rings, in snapshots/: their paths
 *
 * It is its owner's alone: mode 0600 in a directory of mode 0700, and whoever connects must have the same
 * user id (or be root). Nothing here blocks the thread: the descriptors are non-blocking, each step has a
 * deadline, a request has a length, and there are few connections at a time.
 *
 * Stacks want the GIL, which may not be had: a thread of its own asks for it, and if it has not got it in
 * a second, the answer is the one that can be given without.
 *
 * Where the watchdog's thread ends for a fork, the descriptors go to the next one, in the queue of the socket by
 * which it is woken: whoever has asked, or asks meanwhile, gets his answer a moment later.
 */
#include "_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS 4
#define DESCRIPTORS (2 + CONNECTIONS)  /* the directory, the listener */
#define ASK_NS      NS_A_SECOND        /* for the request to come */
#define GIL_NS      NS_A_SECOND        /* for the GIL */
#define ANSWER_NS   (10 * NS_A_SECOND) /* for the answer to be taken */

typedef struct {
    enum { FREE, ASKS, WAITS, TAKES } state;
    int fd;
    uint64_t deadline_ns;
    char request[64];
    size_t used, sent;
    Text answer;
} Connection;

static int listener = -1, directory_fd = -1;
static int own_table;    /* the program cannot close them */
static int out_of_files; /* whoever comes next is not polled for: there is no descriptor for him */
static FileIdentity listener_file;
static char socket_name[32];
static Connection connections[CONNECTIONS];

/* The thread that asks for the GIL: at most one, which may have to wait for ever. */
static enum { IDLE, ASKED, DONE } job_state; /* DONE is set by it, all else by the watchdog */
static _Atomic int job_done;
static pthread_t job;
static _Atomic pid_t job_id;
static Text job_answer;

static void *
job_run(void *Py_UNUSED(unused))
{
    atomic_store(&job_id, (pid_t) syscall(SYS_gettid));
    PyGILState_STATE state = PyGILState_Ensure();
    stacks_answer(&job_answer, 1);
    PyGILState_Release(state);
    atomic_store(&job_done, 1);
    watch_wake();
    return NULL;
}

/* -- the socket ------------------------------------------------------------------------------- */

/* Through the directory's descriptor, because a socket's path may have 107 bytes and no more. */
static void
address_of(struct sockaddr_un *address, const char *name)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/thread-self/fd/%d/%s", directory_fd, name);
}

static int
is_served(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int served = fd >= 0 && (connect(fd, (const struct sockaddr *) address, sizeof *address) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return served;
}

static void
forget_all(void)
{
    for (int i = 0; i < CONNECTIONS; i++)
        if (connections[i].state != FREE)
            close(connections[i].fd);
    memset(connections, 0, sizeof connections);
    if (listener >= 0)
        close(listener);
    if (directory_fd >= 0)
        close(directory_fd);
    listener = directory_fd = -1;
}

/* Nothing is done with a number that is not ours any more; the others were closed with it. */
static void
check_table(void)
{
    if (own_table || listener < 0 || is_still(listener, listener_file))
        return;
    for (int i = 0; i < CONNECTIONS; i++)
        if (connections[i].state != FREE) {
            text_clear(&connections[i].answer);
            connections[i].state = FREE;
        }
    listener = directory_fd = -1;
}

/* -- from one thread to the next --------------------------------------------------------------- */

/* A message of descriptors, and the byte that it takes along. */
typedef struct {
    struct msghdr message;
    struct iovec part;
    char byte;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
    } control;
} Parcel;

static struct msghdr *
parcel_of(Parcel *parcel, size_t room)
{
    memset(parcel, 0, sizeof *parcel);
    parcel->part = (struct iovec){&parcel->byte, 1};
    parcel->message = (struct msghdr){
        .msg_iov = &parcel->part,
        .msg_iovlen = 1,
        .msg_control = parcel->control.bytes,
        .msg_controllen = room,
    };
    return &parcel->message;
}

/* Where each descriptor is kept, in the order in which they are sent. */
static size_t
descriptors_kept(int **kept)
{
    size_t count = 0;
    kept[count++] = &directory_fd;
    kept[count++] = &listener;
    for (int i = 0; i < CONNECTIONS; i++)
        if (connections[i].state != FREE)
            kept[count++] = &connections[i].fd;
    return count;
}

void
server_leave(int fd)
{
    int *kept[DESCRIPTORS], sent[DESCRIPTORS];
    Parcel parcel;
    check_table();
    if (job_state == ASKED) {
        pthread_join(job, NULL); /* whoever waits for us has let go of the GIL */
        atomic_store(&job_done, 0);
        job_state = DONE;
    }
    watch_gone(&job_id);
    if (listener < 0)
        return;
    size_t count = descriptors_kept(kept);
    for (size_t i = 0; i < count; i++)
        sent[i] = *kept[i];
    struct msghdr *message = parcel_of(&parcel, CMSG_SPACE(count * sizeof *sent));
    parcel.control.header =
        (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof *sent)};
    memcpy(CMSG_DATA(&parcel.control.header), sent, count * sizeof *sent);
    if (fd >= 0)
        sendmsg(fd, message, MSG_NOSIGNAL); /* if it is refused, the next thread opens a socket anew */
    for (size_t i = 0; i < count; i++) {
        close(sent[i]);
        *kept[i] = -1;
    }
}

/* Whether there was something left, and all of it has come. */
static int
take_over(int fd)
{
    int *kept[DESCRIPTORS], came[DESCRIPTORS];
    Parcel parcel;
    struct msghdr *message = parcel_of(&parcel, sizeof parcel.control.bytes);
    if (recvmsg(fd, message, MSG_CMSG_CLOEXEC) != 1)
        return 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof *came, wanted = descriptors_kept(kept);
    memcpy(came, CMSG_DATA(header), count * sizeof *came);
    for (size_t i = 0; i < count; i++)
        if (count == wanted)
            *kept[i] = came[i];
        else
            close(came[i]); /* there was no room in the table for the others */
    return count == wanted;
}

int
server_open(const char *directory, int own, int left)
{
    struct sockaddr_un address;
    char unnamed[sizeof socket_name + 4];
    int error;
    own_table = own;
    out_of_files = 0;
    if (take_over(left))
        return 0;
    for (int i = 0; i < CONNECTIONS; i++)
        text_clear(&connections[i].answer);
    forget_all();
    snprintf(socket_name, sizeof socket_name, "%ld.sock", (long) getpid());
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    listener = directory_fd < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0)
        goto failed;
    listener_file = identity_of(listener);
    address_of(&address, socket_name);
    if (is_served(&address)) { /* by a process that has our number in another container */
        errno = EADDRINUSE;
        goto failed;
    }
    /* It gets its name when it listens: one that nobody listens on is anybody's to remove. */
    snprintf(unnamed, sizeof unnamed, "%s.new", socket_name);
    unlinkat(directory_fd, unnamed, 0);
    address_of(&address, unnamed);
    if (fchmod(listener, 0600) < 0 || bind(listener, (struct sockaddr *) &address, sizeof address) < 0 ||
        fchmodat(directory_fd, unnamed, 0600, 0) < 0 || listen(listener, CONNECTIONS) < 0 ||
        renameat(directory_fd, unnamed, directory_fd, socket_name) < 0)
        goto failed;
    return 0;
failed:
    error = errno;
    forget_all();
    errno = error;
    return -1;
}

static void
hang_up(Connection *connection)
{
    close(connection->fd);
    text_clear(&connection->answer);
    connection->state = FREE;
}

void
server_close(void)
{
    check_table();
    for (int i = 0; i < CONNECTIONS; i++)
        if (connections[i].state != FREE)
            hang_up(&connections[i]);
    if (listener >= 0)
        unlinkat(directory_fd, socket_name, 0);
    forget_all();
    if (job_state != IDLE) {
        pthread_join(job, NULL); /* whoever waits for us has let go of the GIL */
        text_clear(&job_answer);
        job_state = IDLE;
    }
}

void
server_forked(void)
{
    check_table();
    if (own_table) { /* the numbers are somebody else's in this table */
        for (int i = 0; i < CONNECTIONS; i++)
            connections[i].state = FREE;
        listener = directory_fd = -1;
    }
    forget_all();
    atomic_store(&job_id, 0);
    job_state = IDLE;
    atomic_store(&job_done, 0);
    memset(&job_answer, 0, sizeof job_answer);
}

/* -- requests --------------------------------------------------------------------------------- */

static void
answer_with(Connection *connection, uint64_t now)
{
    if (connection->answer.failed) {
        hang_up(connection);
        return;
    }
    connection->state = TAKES;
    connection->sent = 0;
    connection->deadline_ns = now + ANSWER_NS;
}

static void
set_detail(Text *answer, const char *level)
{
    static const char *const levels[] = {"switch", "io", "teach"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(level, levels[i]) != 0)
            continue;
        pthread_mutex_lock(&watch_lock);
        for (Watched *ring = watched; ring != NULL; ring = ring->next)
            if (ring->base != NULL)
                atomic_store_explicit(&ring->ring->detail_wanted, i, memory_order_relaxed);
        pthread_mutex_unlock(&watch_lock);
        text_format(answer, "{\"detail\":\"%s\"}\n", level);
        return;
    }
    text_format(answer, "{\"error\":\"there is no such level; there are switch, io and teach\"}\n");
}

static void
make_snapshots(Text *answer)
{
    int first = 1;
    text_format(answer, "{\"snapshots\":[");
    pthread_mutex_lock(&watch_lock);
    for (Watched *ring = watched; ring != NULL; ring = ring->next) {
        Text said = {0};
        if (ring->base == NULL || ring->path == NULL)
            continue;
        int made = snapshot_take(ring, GS_SNAPSHOT_ASKED, &said);
        if (made > 0) {
            text_clear(&said);
            break;
        }
        text_format(answer, first ? "{\"%s\":" : ",{\"%s\":", made == 0 ? "path" : "error");
        text_quote(answer, said.data != NULL ? said.data : "?", said.data != NULL ? said.used : 1);
        text_add(answer, "}", 1);
        text_clear(&said);
        first = 0;
    }
    pthread_mutex_unlock(&watch_lock);
    text_format(answer, "]}\n");
}

static void
take_request(Connection *connection, uint64_t now)
{
    char *request = connection->request, *end = memchr(request, '\n', connection->used);
    *end = 0;
    if (end > request && end[-1] == '\r')
        end[-1] = 0;
    if (strcmp(request, "stacks") == 0) {
        connection->state = WAITS;
        connection->deadline_ns = now + GIL_NS;
        return;
    }
    if (strncmp(request, "detail ", 7) == 0)
        set_detail(&connection->answer, request + 7);
    else if (strcmp(request, "snapshot") == 0)
        make_snapshots(&connection->answer);
    else
        text_format(&connection->answer, "{\"error\":\"there is no such request; there are stacks, detail LEVEL and "
                                         "snapshot\"}\n");
    answer_with(connection, now);
}

/* -- steps, none of which blocks -------------------------------------------------------------- */

static void
accept_one(uint64_t now)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    int i = 0, fd;
    while (i < CONNECTIONS && connections[i].state != FREE)
        i++;
    if (i == CONNECTIONS)
        return;
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    out_of_files = fd < 0 && errno != EAGAIN && errno != EINTR;
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || (peer.uid != geteuid() && peer.uid != 0)) {
        close(fd);
        return;
    }
    memset(&connections[i], 0, sizeof connections[i]);
    connections[i].fd = fd;
    connections[i].state = ASKS;
    connections[i].deadline_ns = now + ASK_NS;
}

static void
read_some(Connection *connection, uint64_t now)
{
    ssize_t got =
        recv(connection->fd, connection->request + connection->used, sizeof connection->request - connection->used, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        connection->used += (size_t) got;
    if (got > 0 && memchr(connection->request, '\n', connection->used) != NULL)
        take_request(connection, now);
    else if (got <= 0 || connection->used == sizeof connection->request)
        hang_up(connection);
}

static void
write_some(Connection *connection)
{
    ssize_t sent = send(connection->fd, connection->answer.data + connection->sent,
                        connection->answer.used - connection->sent, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (sent > 0)
        connection->sent += (size_t) sent;
    if (sent <= 0 || connection->sent == connection->answer.used)
        hang_up(connection);
}

/* Whoever waits for stacks gets those of one asking for the GIL; who waits too long, what there is without. */
static void
serve_stacks(uint64_t now)
{
    int waiting = 0;
    if (job_state == ASKED && atomic_exchange(&job_done, 0)) {
        pthread_join(job, NULL);
        job_state = DONE;
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        Connection *connection = &connections[i];
        if (connection->state != WAITS)
            continue;
        if (job_state == DONE && !job_answer.failed)
            text_add(&connection->answer, job_answer.data, job_answer.used);
        else if (now >= connection->deadline_ns || job_state == DONE)
            stacks_answer(&connection->answer, 0);
        else {
            waiting = 1;
            continue;
        }
        answer_with(connection, now);
    }
    if (job_state == DONE) {
        text_clear(&job_answer);
        job_state = IDLE;
    }
    if (waiting && job_state == IDLE && watch_thread(&job, job_run) == 0)
        job_state = ASKED;
}

void
server_work(uint64_t now, int heard)
{
    check_table();
    if (listener < 0)
        return;
    if (heard || out_of_files)
        accept_one(now);
    for (int i = 0; i < CONNECTIONS; i++) {
        Connection *connection = &connections[i];
        if (connection->state == ASKS)
            read_some(connection, now);
        if (connection->state == ASKS && now >= connection->deadline_ns)
            hang_up(connection);
    }
    serve_stacks(now);
    for (int i = 0; i < CONNECTIONS; i++) {
        Connection *connection = &connections[i];
        if (connection->state == TAKES)
            write_some(connection);
        if (connection->state == TAKES && now >= connection->deadline_ns)
            hang_up(connection);
    }
}

int
server_polls(struct pollfd *polls)
{
    int count = 0, room = 0;
    check_table();
    for (int i = 0; i < CONNECTIONS; i++) {
        if (connections[i].state == FREE)
            room = 1;
        else if (connections[i].state != WAITS)
            polls[count++] =
                (struct pollfd){.fd = connections[i].fd, .events = connections[i].state == ASKS ? POLLIN : POLLOUT};
    }
    if (room && listener >= 0 && !out_of_files)
        polls[count++] = (struct pollfd){.fd = listener, .events = POLLIN};
    return count;
}

uint64_t
server_deadline(void)
{
    uint64_t earliest = 0;
    for (int i = 0; i < CONNECTIONS; i++)
        if (connections[i].state != FREE && (earliest == 0 || connections[i].deadline_ns < earliest))
            earliest = connections[i].deadline_ns;
    return earliest;
}
