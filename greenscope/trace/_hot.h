/* How code that is run for each record is laid out.
 *
 * Records are rare among all that a program does, so that their code is fetched anew each time, which takes longer than
 * to run it: what is nearly always the case is in one piece, and what is rare elsewhere.
 */
#ifndef GREENSCOPE_HOT_H
#define GREENSCOPE_HOT_H

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define COLD                __attribute__((cold, noinline))
#define INLINED             inline __attribute__((always_inline))

#endif
