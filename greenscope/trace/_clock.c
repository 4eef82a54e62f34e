/* The time of a record, without asking for it each time.
 *
 * The kernel's clock takes 22 ns, and more where its code has to be fetched: a page that reads from redis has a dozen
 * records a request. It is made of a counter of the processor's, which takes a few. So does ours, and sets itself by
 * the kernel's once a millisecond: it is never off by more than what the two differ by in that time, some nanoseconds,
 * or half a microsecond while the kernel's is being slewed; and it does not go back.
 *
 * Only where the kernel itself trusts the counter (its clocksource is "tsc"): it is the same on all processors then,
 * and its rate constant. How fast it counts is measured by the kernel's clock over ten milliseconds at least, and anew
 * each second. It is used while two measurements, one after the other, agree: not before, and not for a while after the
 * machine slept, or moved to another. Until then the kernel is asked.
 */
#define _GNU_SOURCE
#include "_clock.h"

#ifdef HAVE_COUNTER

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MEASURED_NS (10 * NS_A_MS)
#define ONE         (UINT64_C(1) << 32)

/* Whether the kernel trusts it. Asked once a process; a program's first ring is made with the GIL. */
static int
is_trusted(void)
{
    static int known = -1;
    char name[16];
    if (known < 0) {
        int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? 0 : read(fd, name, sizeof name);
        if (fd >= 0)
            close(fd);
        known = got == 4 && memcmp(name, "tsc\n", 4) == 0;
    }
    return known;
}

static void
measure_from(Clock *clock, uint64_t counter, uint64_t ns)
{
    clock->from_counter = counter;
    clock->from_ns = ns;
}

/* How fast it counts, if it is time to know that. */
static void
measure(Clock *clock, uint64_t counter, uint64_t ns)
{
    uint64_t passed_ns = ns - clock->from_ns, passed = counter - clock->from_counter;
    if (clock->from_ns == 0 || passed == 0 || passed_ns > NS_A_SECOND * 60) {
        clock->limit = clock->rate = 0;
        measure_from(clock, counter, ns);
        return;
    }
    if (passed_ns < MEASURED_NS || (clock->limit != 0 && passed_ns < NS_A_SECOND))
        return;
    uint64_t rate = (uint64_t) (((unsigned __int128) passed_ns << 32) / passed),
             off = rate > clock->rate ? rate - clock->rate : clock->rate - rate;
    int agrees = rate != 0 && clock->rate != 0 && off <= clock->rate >> 10;
    clock->rate = rate;
    clock->limit = agrees ? (NS_A_MS << 32) / rate : 0;
    measure_from(clock, counter, ns);
}

#endif

uint64_t
clock_set(Clock *clock)
{
    if (clock->test_ns)
        return clock->test_ns;
#ifdef HAVE_COUNTER
    if (is_trusted()) {
        uint64_t before = __rdtsc(), now = real_ns(), passed = __rdtsc() - before;
        uint64_t least = clock->ns + (clock->limit * clock->rate >> 32); /* what it may have said last */
        if (passed > 2000) /* somebody else had the processor in between: the next time, then */
            return now > least ? now : least;
        measure(clock, before + passed / 2, now);
        clock->counter = before + passed / 2;
        clock->ns = now > least ? now : least;
        return clock->ns;
    }
#endif
    return real_ns();
}
