/* The load for echo.py: N connections, one request of SIZE bytes under way on each, each answer checked.
 *
 *     echo_client PORT CONNECTIONS REQUESTS SIZE
 *
 * It is in C because a client that costs more than the server measures itself: the server would idle
 * between requests, and sleeping and waking would be most of what it does.
 *
 * Connects, exchanges one message on each connection (so that accepting is over and every handler
 * runs), prints "ready", and begins when it reads a byte: the caller looks at the server's clock
 * first. Prints the seconds it took, and begins anew at the next byte. Exits at the end of its input; with 1
 * and a line on stderr when an answer is wrong. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SIZE = 65536, MAX_EVENTS = 512, PATIENCE_MS = 30000 };

typedef struct {
    int fd;
    uint32_t number, sent; /* seed the message: no two are equal, so a mixed-up answer shows */
    size_t got;
    unsigned char *expected;
} Connection;

static size_t size;

static void
fail(const char *what)
{
    fprintf(stderr, "echo_client: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static long
number_from(const char *text, long least, long most)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end != 0 || value < least || value > most) {
        fprintf(stderr, "echo_client: %s is not a number from %ld to %ld\n", text, least, most);
        exit(2);
    }
    return value;
}

static void
send_next(Connection *connection)
{
    uint32_t state = connection->number * 2654435761u ^ ++connection->sent * 40503u;
    for (size_t i = 0; i < size; i++) {
        connection->expected[i] = (unsigned char) (state >> 24);
        state = state * 1664525u + 1013904223u;
    }
    connection->got = 0;
    /* Nothing else is under way on this connection, so the kernel has room for it. */
    if (send(connection->fd, connection->expected, size, MSG_NOSIGNAL) != (ssize_t) size) {
        fail("send");
    }
}

/* 1 when the answer is complete. */
static int
receive(Connection *connection, int flags)
{
    static unsigned char buffer[MAX_SIZE];
    /* One byte more than is due: an answer that is too long must not pass. */
    ssize_t n = recv(connection->fd, buffer, size - connection->got + 1, flags);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (n <= 0) {
        fail(n == 0 ? "the server closed a connection" : "recv");
    }
    if (connection->got + (size_t) n > size ||
        memcmp(buffer, connection->expected + connection->got, (size_t) n) != 0) {
        errno = 0;
        fail("an answer is not its request");
    }
    connection->got += (size_t) n;
    return connection->got == size;
}

static void
open_connection(Connection *connection, uint32_t number, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->number = number;
    connection->expected = malloc(size);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->expected == NULL || connection->fd < 0) {
        fail("socket");
    }
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(connection->fd, (struct sockaddr *) &address, sizeof address) < 0) {
        fail("connect");
    }
    send_next(connection);
    while (!receive(connection, 0)) {
        if (errno == EAGAIN) {
            fail("no answer to the first request");
        }
    }
}

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
run(int epoll, Connection *connections, long count, long requests)
{
    static struct epoll_event events[MAX_EVENTS];
    long sent = 0, answered = 0;
    for (; sent < count && sent < requests; sent++) {
        send_next(&connections[sent]);
    }
    while (answered < requests) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, PATIENCE_MS);
        if (ready == 0) {
            errno = ETIMEDOUT;
        }
        if (ready <= 0) {
            fail("epoll_wait");
        }
        for (int i = 0; i < ready; i++) {
            Connection *connection = events[i].data.ptr;
            if (!receive(connection, MSG_DONTWAIT)) {
                continue;
            }
            answered++;
            if (sent < requests) {
                sent++;
                send_next(connection);
            }
        }
    }
}

int
main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: echo_client PORT CONNECTIONS REQUESTS SIZE\n");
        return 2;
    }
    int port = (int) number_from(argv[1], 1, 65535);
    long count = number_from(argv[2], 1, 100000);
    long requests = number_from(argv[3], 1, 1000000000);
    size = (size_t) number_from(argv[4], 1, MAX_SIZE - 1);

    Connection *connections = calloc((size_t) count, sizeof *connections);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || epoll < 0) {
        fail("epoll_create1");
    }
    for (long i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        open_connection(&connections[i], (uint32_t) i, port);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) < 0) {
            fail("epoll_ctl");
        }
    }

    puts("ready");
    fflush(stdout);
    /* The caller looks at the server's clock between two runs, and before the connections go: closing is not
     * serving. */
    while (getchar() != EOF) {
        double began = now();
        run(epoll, connections, count, requests);
        printf("%.6f\n", now() - began);
        fflush(stdout);
    }
    return 0;
}
