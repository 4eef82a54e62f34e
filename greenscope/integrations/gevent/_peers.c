/* What is at the other end of a socket that is watched: its address, as text.
 *
 * The kernel is asked when the watcher is first started, and once more if there was no connection yet.
 */
#include "_gevent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void
ask_peer(Watch *watch)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
        struct sockaddr_un local;
    } address;
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN], text[sizeof watch->peer + 1];
    int wrote = 0, saved = errno;
    watch->tries++;
    if (getpeername(watch->fd, &address.any, &length) < 0) {
        if (errno != ENOTCONN)
            watch->tries = 2; /* it has none, and will have none */
        else if (watch->reason == GS_WATCH_WRITE)
            watch->origin = 1; /* who waits to write before there is a connection connects */
    } else if (address.any.sa_family == AF_INET && inet_ntop(AF_INET, &address.four.sin_addr, host, sizeof host)) {
        wrote = snprintf(text, sizeof text, "%s:%d", host, ntohs(address.four.sin_port));
    } else if (address.any.sa_family == AF_INET6 && inet_ntop(AF_INET6, &address.six.sin6_addr, host, sizeof host)) {
        wrote = snprintf(text, sizeof text, "[%s]:%d", host, ntohs(address.six.sin6_port));
    } else if (address.any.sa_family == AF_UNIX && length > offsetof(struct sockaddr_un, sun_path)) {
        int most = (int) (length - offsetof(struct sockaddr_un, sun_path));
        if (address.local.sun_path[0] == 0)
            address.local.sun_path[0] = '@';
        wrote = snprintf(text, sizeof text, "%.*s", most, address.local.sun_path);
    } else {
        watch->tries = 2;
    }
    if (wrote > 0) {
        size_t kept = (size_t) wrote < sizeof watch->peer ? (size_t) wrote : sizeof watch->peer;
        memcpy(watch->peer, text, kept);
        watch->peer_length = (unsigned char) kept;
    }
    errno = saved;
}
