/* Snapshots by trigger: copies of the rings, made by the watchdog's thread when something has happened.
 *
 * They are made in C and without the GIL, because one of the triggers is a hub that hangs with the GIL in
 * its hands. A copy holds what is in use of each section and nothing else, and is a ring like any other
 * (docs/ring-format.md); a record that the writer may have overtaken meanwhile is left out, by `first`.
 *
 * What happens again and again must not fill the disk, nor cost the program anything: the same reason makes
 * one set of snapshots a minute, and of all that a directory has only the newest are kept. A person who asks,
 * by a signal or on the socket, always gets them.
 */
#include "_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGAIN_NS (60 * NS_A_SECOND)
#define PIECE    (1 << 20) /* of the events, between two of which whoever has the GIL gets the lock */

static const char *const reasons[SNAPSHOT_REASONS] = {"asked", "signal", "exception", "loop-exit", "stall"};

static unsigned keep;
static _Atomic unsigned asked; /* a bit a reason */
static _Atomic uint64_t last_ns[SNAPSHOT_REASONS];

void
snapshot_settings(unsigned kept)
{
    keep = kept;
    atomic_store(&asked, 0);
}

int
snapshot_allowed(unsigned reason, uint64_t now)
{
    uint64_t last = atomic_load_explicit(&last_ns[reason % SNAPSHOT_REASONS], memory_order_relaxed);
    if (keep == 0 || (last != 0 && now - last < AGAIN_NS))
        return 0;
    atomic_store_explicit(&last_ns[reason % SNAPSHOT_REASONS], now, memory_order_relaxed);
    return 1;
}

void
snapshot_ask(unsigned reason)
{
    atomic_fetch_or(&asked, 1u << reason % SNAPSHOT_REASONS);
    watch_wake();
}

#define PUT_OFF 2 /* of `snapshot_take`: it is made when the thread goes on after a fork */

/* On the program's stderr, which the watchdog's thread has not open itself. */
static void
say(const char *what, const char *text)
{
    int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return;
    dprintf(fd, "greenscope: %s%s\n", what, text);
    close(fd);
}

void
snapshot_asked(void)
{
    unsigned bits = atomic_exchange(&asked, 0), left = 0;
    for (Watched *ring = watched; ring != NULL; ring = ring->next)
        if (ring->base != NULL && ring->path != NULL)
            left |= ring->asked |= bits;
    for (unsigned reason = 0; left != 0 && reason < SNAPSHOT_REASONS; reason++) {
        for (Watched *ring = watched; ring != NULL; ring = ring->next) {
            Text said = {0};
            if (!(ring->asked & 1u << reason))
                continue;
            int made = snapshot_take(ring, reason, &said);
            if (reason == GS_SNAPSHOT_SIGNAL && said.data != NULL)
                say(made == 0 ? "snapshot " : "no snapshot: ", said.data);
            text_clear(&said);
            if (made == PUT_OFF)
                return;
            if (made > 0)
                break;
            ring->asked &= ~(1u << reason);
        }
    }
}

/* -- the copy --------------------------------------------------------------------------------- */

static int
write_at(int fd, const void *from, size_t size, uint64_t offset)
{
    const char *bytes = from;
    while (size > 0) {
        ssize_t wrote = pwrite(fd, bytes, size, (off_t) offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return -1;
        bytes += wrote;
        offset += (uint64_t) wrote;
        size -= (size_t) wrote;
    }
    return 0;
}

static void
set_u64(uint8_t *header, size_t offset, uint64_t value)
{
    memcpy(header + offset, &value, 8);
}

static void
set_u32(uint8_t *header, size_t offset, uint32_t value)
{
    memcpy(header + offset, &value, 4);
}

/* A slot as it is between two changes; one that never holds still is left empty. */
static int
write_slots(int fd, const uint8_t *slots, uint32_t used, uint64_t offset)
{
    uint8_t copies[64][GS_RING_SLOT_SIZE];
    for (uint32_t from = 0; from < used; from += 64) {
        uint32_t count = used - from < 64 ? used - from : 64;
        for (uint32_t i = 0; i < count; i++) {
            const uint8_t *slot = slots + (size_t) (from + i) * GS_RING_SLOT_SIZE;
            uint32_t before, after;
            int tries = 0;
            do {
                before = atomic_load_explicit((_Atomic uint32_t *) slot, memory_order_acquire);
                memcpy(copies[i], slot, GS_RING_SLOT_SIZE);
                atomic_thread_fence(memory_order_acquire);
                after = atomic_load_explicit((_Atomic uint32_t *) slot, memory_order_relaxed);
            } while (((before & 1) || before != after) && ++tries < 100);
            if ((before & 1) || before != after)
                memset(copies[i], 0, GS_RING_SLOT_SIZE);
        }
        if (write_at(fd, copies, (size_t) count * GS_RING_SLOT_SIZE, offset + (uint64_t) from * GS_RING_SLOT_SIZE) < 0)
            return -1;
    }
    return 0;
}

static int
write_copy(int fd, Watched *ring, unsigned reason)
{
    const uint8_t *base = ring->base;
    uint8_t header[GS_RING_HEADER_SIZE];
    uint64_t head = header_u64(ring, GS_HEADER_HEAD), capacity = header_u64(ring, GS_HEADER_EVENT_CAPACITY);
    uint64_t in_use = head < capacity ? head : capacity, first = 0;
    uint64_t kept = (in_use / GS_RING_CAPACITY_UNIT + 1) * GS_RING_CAPACITY_UNIT;
    uint64_t watched_size = header_u64(ring, GS_HEADER_WATCH_CAPACITY) * GS_RING_EVENT_SIZE;
    if (kept > capacity)
        kept = capacity;
    memcpy(header, base, sizeof header);

    /* In the order of the file; what is copied later covers what is named by what was copied before. */
    uint64_t event_at = GS_RING_HEADER_SIZE, watch_at = event_at + kept * GS_RING_EVENT_SIZE;
    const uint8_t *events = base + header_u64(ring, GS_HEADER_EVENT_OFFSET);
    for (uint64_t done = 0, size = in_use * GS_RING_EVENT_SIZE; done < size; done += PIECE) {
        if (write_at(fd, events + done, size - done < PIECE ? size - done : PIECE, event_at + done) < 0)
            return -1;
        if (reason != GS_SNAPSHOT_ASKED && !ring->put_off && watch_hurries()) {
            ring->put_off = 1;
            return PUT_OFF;
        }
        if (!watch_let_in(ring))
            return 1;
    }
    uint64_t reached = header_u64(ring, GS_HEADER_HEAD) + GS_RING_MAX_BURST;
    capacity = header_u64(ring, GS_HEADER_EVENT_CAPACITY); /* less, where the space was lost meanwhile */
    if (reached > capacity)
        first = reached - capacity < head ? reached - capacity : head;
    if (write_at(fd, base + header_u64(ring, GS_HEADER_WATCH_OFFSET), watched_size, watch_at) < 0)
        return -1;

    uint32_t slots = header_u32(ring, GS_HEADER_SLOT_USED);
    uint64_t slot_at = watch_at + watched_size, site_at = slot_at + (uint64_t) slots * GS_RING_SLOT_SIZE;
    if (write_slots(fd, base + header_u64(ring, GS_HEADER_SLOT_OFFSET), slots, slot_at) < 0)
        return -1;
    uint64_t sites = header_u32(ring, GS_HEADER_SITE_COUNT), string_at = site_at + sites * GS_RING_SITE_SIZE;
    if (write_at(fd, base + header_u64(ring, GS_HEADER_SITE_OFFSET), sites * GS_RING_SITE_SIZE, site_at) < 0)
        return -1;
    uint64_t strings = header_u64(ring, GS_HEADER_STRING_USED);
    if (write_at(fd, base + header_u64(ring, GS_HEADER_STRING_OFFSET), strings, string_at) < 0)
        return -1;

    set_u64(header, GS_HEADER_STRING_OFFSET, string_at);
    set_u64(header, GS_HEADER_STRING_SIZE, strings);
    set_u64(header, GS_HEADER_STRING_USED, strings);
    set_u64(header, GS_HEADER_SITE_OFFSET, site_at);
    set_u64(header, GS_HEADER_SITE_CAPACITY, sites);
    set_u32(header, GS_HEADER_SITE_COUNT, (uint32_t) sites);
    set_u64(header, GS_HEADER_SLOT_OFFSET, slot_at);
    set_u64(header, GS_HEADER_SLOT_CAPACITY, slots);
    set_u32(header, GS_HEADER_SLOT_USED, slots);
    set_u64(header, GS_HEADER_WATCH_OFFSET, watch_at);
    set_u64(header, GS_HEADER_EVENT_OFFSET, event_at);
    set_u64(header, GS_HEADER_EVENT_CAPACITY, kept);
    set_u64(header, GS_HEADER_EVENT_LIMIT, kept);
    set_u64(header, GS_HEADER_HEAD, head);
    set_u64(header, GS_HEADER_FIRST, first);
    set_u64(header, GS_HEADER_SNAPSHOT_NS, real_ns());
    set_u32(header, GS_HEADER_SNAPSHOT_REASON, reason);
    return write_at(fd, header, sizeof header, 0);
}

/* -- its name, and how many there are --------------------------------------------------------- */

typedef struct {
    char name[NAME_MAX + 1];
    struct timespec changed;
} Kept;

static int
newest_first(const void *left, const void *right)
{
    const struct timespec *a = &((const Kept *) left)->changed, *b = &((const Kept *) right)->changed;
    if (a->tv_sec != b->tv_sec)
        return a->tv_sec < b->tv_sec ? 1 : -1;
    return a->tv_nsec < b->tv_nsec ? 1 : a->tv_nsec > b->tv_nsec ? -1 : 0;
}

static void
remove_oldest(const char *directory)
{
    DIR *listing = opendir(directory);
    Kept *found = NULL;
    size_t count = 0, size = 0;
    struct dirent *entry;
    struct stat status;
    if (listing == NULL)
        return;
    while ((entry = readdir(listing)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 4, ".gsr") != 0 ||
            fstatat(dirfd(listing), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
            continue;
        if (count == size) {
            Kept *more = realloc(found, (size = size * 2 + 32) * sizeof *found);
            if (more == NULL)
                break;
            found = more;
        }
        strcpy(found[count].name, entry->d_name);
        found[count++].changed = status.st_mtim;
    }
    if (count > keep) {
        qsort(found, count, sizeof *found, newest_first);
        for (size_t i = keep; i < count; i++)
            unlinkat(dirfd(listing), found[i].name, 0);
    }
    closedir(listing);
    free(found);
}

int
snapshot_take(Watched *ring, unsigned reason, Text *said)
{
    char directory[PATH_MAX], path[PATH_MAX + 128], unnamed[PATH_MAX + 160], when[32];
    struct timespec now;
    struct tm utc;
    const char *slash = strrchr(ring->path, '/');
    int parent = slash == NULL ? 1 : (int) (slash - ring->path), fd, gone, error = 0;
    if (keep == 0) {
        text_format(said, "GREENSCOPE_SNAPSHOTS is 0");
        return -1;
    }
    if (snprintf(directory, sizeof directory, "%.*s/snapshots", parent, slash == NULL ? "." : ring->path) >=
        (int) sizeof directory)
        return -1;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof when, "%Y%m%dT%H%M%S", &utc);
    snprintf(path, sizeof path, "%s/%u-%u-%s-%s.%03ldZ.gsr", directory, header_u32(ring, GS_HEADER_PID),
             header_u32(ring, GS_HEADER_HUB), reasons[reason], when, now.tv_nsec / 1000000);
    snprintf(unnamed, sizeof unnamed, "%s.new", path);
    mkdir(directory, 0700);
    fd = open(unnamed, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    gone = fd < 0 ? -1 : write_copy(fd, ring, reason);
    if (gone < 0 || (gone == 0 && rename(unnamed, path) < 0))
        error = errno;
    if (fd >= 0)
        close(fd);
    if (error || gone > 0)
        unlink(unnamed);
    if (gone > 0)
        return gone;
    ring->put_off = 0;
    text_add(said, path, strlen(path));
    if (error)
        text_format(said, ": %s", strerror(error));
    else
        remove_oldest(directory);
    return error ? -1 : 0;
}
