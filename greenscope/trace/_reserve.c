/* Space: reserved in the file before it is touched, a step at a time.
 *
 * A write to a hole of a mapped file on a full disk is SIGBUS, which no program survives. Whoever made the
 * file has reserved the first step of each section (ring_layout.py); this reserves what follows, when it is
 * first needed, so that a small program's ring takes little. It is called some times in a ring's life, under
 * the GIL, and takes some microseconds. Where there is no more space, the section ends at what is there.
 *
 * Zeros are then written there, a step in one call, which the kernel takes in large pieces: an event of the
 * first lap takes 8 ns more than later (ext4; 20 on tmpfs). Pages left to be faulted in made it 12, and the first
 * fault in a file reads ahead, however empty what it reads: it stopped the program for 2 ms, and opening a ring
 * took 3 ms, with zeros 1 (benchmarks/rings.py). MADV_POPULATE_WRITE changed none of that.
 */
#define _GNU_SOURCE
#include "_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* So many interruptions in a row are not signals any more. */
#define INTERRUPTIONS 10000

#define SMALLEST_PIECE 4096

/* Zeros where nothing was written yet. 0, or what is wrong. */
static int
write_zeros(int fd, uint64_t offset, uint64_t length)
{
    static char zeros[GS_RING_EVENT_STEP]; /* of the same page of zeros, as nothing is ever written there */
    struct rlimit limit;
    /* A limit that was set since the file was made: to write beyond it is a signal that may end the program. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < offset + length)
        return EFBIG;
    while (length > 0) {
        ssize_t wrote = pwrite(fd, zeros, length < sizeof zeros ? length : sizeof zeros, (off_t) offset);
        if (wrote < 0)
            return errno;
        offset += (uint64_t) wrote;
        length -= (uint64_t) wrote;
    }
    return 0;
}

/* 0, or what is wrong. */
static int
take(int fd, uint64_t offset, uint64_t length)
{
#ifdef __APPLE__
    return write_zeros(fd, offset, length); /* it has no posix_fallocate, and these take the space as well */
#else
    int error = posix_fallocate(fd, (off_t) offset, (off_t) length);
    if (error == 0)
        write_zeros(fd, offset, length); /* the space is there, whether these get through or not */
    return error;
#endif
}

/* A signal interrupts it, and some file systems then give back what they had taken: smaller pieces get through. */
static int
allocate(int fd, uint64_t offset, uint64_t length)
{
    uint64_t piece = length;
    for (int interruptions = 0; length > 0;) {
        uint64_t wanted = length < piece ? length : piece;
        int error = take(fd, offset, wanted);
        if (error == 0) {
            offset += wanted;
            length -= wanted;
        } else if (error == EINTR && interruptions++ < INTERRUPTIONS) {
            piece = piece / 2 > SMALLEST_PIECE ? piece / 2 : SMALLEST_PIECE;
        } else {
            return 0;
        }
    }
    return 1;
}

/* Whether the descriptor is still the file's: a program that closes all it does not know may have got the number
 * again for a file of its own, which must not grow. */
static int
is_ours(Ring *ring)
{
    struct stat now;
    return fstat(ring->fd, &now) == 0 && (uint64_t) now.st_dev == ring->device && (uint64_t) now.st_ino == ring->inode;
}

int
ring_reserve(Ring *ring, Section *section, uint64_t end)
{
    uint64_t reserved = section->reserved, wanted = (end + section->step - 1) / section->step * section->step;
    int kept_errno = errno, there;
    if (end > section->size)
        return 0;
    if (wanted > section->size)
        wanted = section->size;
    there = is_ours(ring) && allocate(ring->fd, section->offset + reserved, wanted - reserved);
    errno = kept_errno;
    if (!there) {
        section->size = reserved; /* for good: to ask again costs a system call each time */
        store_u32(ring, GS_HEADER_SPACE_LOST, 1);
        return 0;
    }
    section->reserved = wanted;
    return 1;
}

void
ring_turn(Ring *ring)
{
    Section *events = &ring->events_at;
    uint64_t size = events->size;
    if (has_room(ring, events, events->reserved + GS_RING_EVENT_SIZE)) {
        ring->limit = (Event *) (ring->base + events->offset + events->reserved);
        return;
    }
    /* A reader looks again for the capacity after it has looked for head, which is not beyond it yet. */
    if (events->size != size)
        atomic_store_explicit((_Atomic uint64_t *) (ring->base + GS_HEADER_EVENT_CAPACITY),
                              events->size / GS_RING_EVENT_SIZE, memory_order_release);
    ring->next = (Event *) (ring->base + events->offset);
}

void
ring_copy(Ring *ring, const Event *aside, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *advance(ring) = aside[i];
}

static Section
section_of(Ring *ring, size_t offset, size_t capacity, uint64_t item, uint64_t step)
{
    uint64_t size = number_at(ring->base, capacity) * item;
    return (Section){number_at(ring->base, offset), size, step, ring->fd < 0 || step > size ? size : step};
}

int
ring_set_sections(Ring *ring, int fd)
{
    struct stat file;
    ring->fd = fd;
    if (fd >= 0) {
        if (fstat(fd, &file) < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        ring->device = (uint64_t) file.st_dev;
        ring->inode = (uint64_t) file.st_ino;
    }
    ring->strings_at = section_of(ring, GS_HEADER_STRING_OFFSET, GS_HEADER_STRING_SIZE, 1, GS_RING_SECTION_STEP);
    ring->sites_at =
        section_of(ring, GS_HEADER_SITE_OFFSET, GS_HEADER_SITE_CAPACITY, GS_RING_SITE_SIZE, GS_RING_SECTION_STEP);
    ring->slots_at =
        section_of(ring, GS_HEADER_SLOT_OFFSET, GS_HEADER_SLOT_CAPACITY, GS_RING_SLOT_SIZE, GS_RING_SECTION_STEP);
    ring->events_at =
        section_of(ring, GS_HEADER_EVENT_OFFSET, GS_HEADER_EVENT_CAPACITY, GS_RING_EVENT_SIZE, GS_RING_EVENT_STEP);
    ring->next = (Event *) (ring->base + ring->events_at.offset);
    ring->limit = (Event *) (ring->base + ring->events_at.offset + ring->events_at.reserved);
    return 0;
}
