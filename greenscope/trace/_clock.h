/* What time it is: by the kernel's clock, and by one that is read faster, which _clock.c sets by that. */
#ifndef GREENSCOPE_CLOCK_H
#define GREENSCOPE_CLOCK_H

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__) && defined(__linux__)
#define HAVE_COUNTER 1
#include <x86intrin.h>
#endif

#include "_hot.h"

#define NS_A_MS     UINT64_C(1000000)
#define NS_A_SECOND UINT64_C(1000000000)

static inline uint64_t
real_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * NS_A_SECOND + (uint64_t) now.tv_nsec;
}

/* A clock that is read in two instructions, as _clock.c says; of one thread. */
typedef struct {
    uint64_t counter, ns;           /* both, at one moment of this millisecond or of one before */
    uint64_t limit;                 /* how far the counter may be on from there; 0: it is of no use, or not yet */
    uint64_t rate;                  /* nanoseconds for 2 ** 32 of it */
    uint64_t from_counter, from_ns; /* since when the rate is measured; 0: not yet */
    unsigned long long test_ns;     /* a test's clock, that stands still; 0: the real one */
} Clock;

/* The time by the kernel, and the clock is set by it. */
COLD uint64_t clock_set(Clock *clock);

/* Nanoseconds by CLOCK_MONOTONIC, to less than a microsecond. */
static inline uint64_t
clock_now(Clock *clock)
{
#ifdef HAVE_COUNTER
    if (LIKELY(clock->limit != 0)) { /* else the processor may not even have one that may be read */
        uint64_t passed = __rdtsc() - clock->counter;
        if (LIKELY(passed < clock->limit))
            return clock->ns + (passed * clock->rate >> 32);
    }
#endif
    return clock_set(clock);
}

#endif
