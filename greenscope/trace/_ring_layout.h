/* Generated from greenscope/trace/events.py and greenscope/trace/ring_layout.py.
 * Do not edit: run `python -m tools.generate`. */
#ifndef GREENSCOPE_RING_LAYOUT_H
#define GREENSCOPE_RING_LAYOUT_H

/* The file's parts. */
#define RING_MAGIC         "\211\107\123\122\015\012\032\012"
#define RING_VERSION       1
#define RING_HEADER_SIZE   4096
#define RING_EVENT_SIZE    32
#define RING_SITE_SIZE     16
#define RING_SLOT_SIZE     128
#define RING_FLAG_NUMBERED 1
#define RING_PEER_BYTES    48
#define RING_TEXT_BYTES    28
#define RING_MAX_BURST     8
#define RING_HANDLE_BITS   40
#define RING_NO_FD         0xFFFFFFFFu

/* Offsets in the header. */
#define HEADER_MAGIC              0
#define HEADER_VERSION            8
#define HEADER_HEADER_SIZE        12
#define HEADER_PID                16
#define HEADER_HUB                20
#define HEADER_START_MONOTONIC_NS 24
#define HEADER_START_WALL_NS      32
#define HEADER_BOOT_ID            40
#define HEADER_THREAD_ID          56
#define HEADER_STRING_OFFSET      64
#define HEADER_STRING_SIZE        72
#define HEADER_SITE_OFFSET        80
#define HEADER_SITE_CAPACITY      88
#define HEADER_SLOT_OFFSET        96
#define HEADER_SLOT_CAPACITY      104
#define HEADER_EVENT_OFFSET       112
#define HEADER_EVENT_CAPACITY     120
#define HEADER_HEAD               192
#define HEADER_STRING_USED        256
#define HEADER_SITE_COUNT         264
#define HEADER_SLOT_USED          268
#define HEADER_STRINGS_LOST       272
#define HEADER_SITES_LOST         276
#define HEADER_SLOTS_LOST         280
#define HEADER_CLOSED             284
#define HEADER_END_MONOTONIC_NS   288
#define HEADER_END_WALL_NS        296
#define HEADER_THREAD_NAME        512
#define HEADER_HOST               576
#define HEADER_WRITER             640
#define HEADER_EXECUTABLE         704
#define HEADER_ARGV               1216

/* Offsets in a greenlet's slot. */
#define SLOT_SEQUENCE     0
#define SLOT_NAME         4
#define SLOT_GREENLET     8
#define SLOT_SINCE_NS     16
#define SLOT_RESOURCE     24
#define SLOT_FD_PLUS_1    28
#define SLOT_DEADLINE_NS  32
#define SLOT_RUN_NS       40
#define SLOT_SWITCHES     48
#define SLOT_SITE         56
#define SLOT_STATE        60
#define SLOT_REASON       61
#define SLOT_FLAGS        62
#define SLOT_PEER_LENGTH  63
#define SLOT_PARENT       64
#define SLOT_SPAWN_SITE   72
#define SLOT_SPAWN_REASON 76
#define SLOT_PEER         80

/* States of a greenlet's slot. */
#define STATE_FREE    0
#define STATE_SPAWNED 1
#define STATE_READY   2
#define STATE_RUNNING 3
#define STATE_WAITING 4

/* What happened. */
#define KIND_TEXT            0
#define KIND_GREENLET_SPAWN  1
#define KIND_GREENLET_NAME   2
#define KIND_GREENLET_READY  3
#define KIND_GREENLET_SWITCH 4
#define KIND_GREENLET_THROW  5
#define KIND_GREENLET_PARK   6
#define KIND_GREENLET_EXIT   7
#define KIND_WATCHER_OPEN    16
#define KIND_WATCHER_START   17
#define KIND_WATCHER_FIRE    18
#define KIND_WATCHER_STOP    19
#define KIND_WATCHER_CLOSE   20
#define KIND_TIMEOUT_START   32
#define KIND_TIMEOUT_FIRE    33
#define KIND_TIMEOUT_CANCEL  34
#define KIND_POLL_BEGIN      48
#define KIND_POLL_END        49

/* Reasons of ``greenlet_spawn``: what kind of greenlet began. */
#define SPAWN_GREENLET 0
#define SPAWN_HUB      1
#define SPAWN_MAIN     2
#define SPAWN_RAW      3

/* Reasons of ``greenlet_park``: what the greenlet waits for. */
#define WAIT_OTHER 0
#define WAIT_READ  1
#define WAIT_WRITE 2
#define WAIT_TIMER 3
#define WAIT_LOCK  4
#define WAIT_QUEUE 5
#define WAIT_EVENT 6
#define WAIT_JOIN  7
#define WAIT_YIELD 8

/* Reasons of ``greenlet_ready``: who made it ready, and so what ``arg`` numbers. */
#define READY_OTHER    0
#define READY_WATCHER  1
#define READY_GREENLET 2
#define READY_TIMEOUT  3
#define READY_SPAWN    4
#define READY_KILL     5
#define READY_CLOSE    6
#define READY_YIELD    7

/* Reasons of ``greenlet_exit``: how it ended. */
#define EXIT_RETURNED 0
#define EXIT_RAISED   1
#define EXIT_KILLED   2

/* Reasons of the ``watcher_…`` kinds: what the watcher watches. */
#define WATCH_READ   1
#define WATCH_WRITE  2
#define WATCH_TIMER  3
#define WATCH_ASYNC  4
#define WATCH_SIGNAL 5
#define WATCH_CHILD  6

/* Reasons of the ``timeout_…`` kinds: where the timeout comes from. */
#define TIMEOUTS_SCOPE  0
#define TIMEOUTS_SOCKET 1

#endif
