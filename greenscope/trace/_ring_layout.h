/* Generated from greenscope/trace/events.py and greenscope/trace/ring_layout.py.
 * Do not edit: run `python -m tools.generate`. */
#ifndef GREENSCOPE_RING_LAYOUT_H
#define GREENSCOPE_RING_LAYOUT_H

/* The file's parts. */
#define GS_RING_MAGIC         "\211\107\123\122\015\012\032\012"
#define GS_RING_VERSION       2
#define GS_RING_HEADER_SIZE   4096
#define GS_RING_EVENT_SIZE    32
#define GS_RING_SITE_SIZE     16
#define GS_RING_SLOT_SIZE     128
#define GS_RING_FLAG_NUMBERED 1
#define GS_RING_PEER_BYTES    48
#define GS_RING_TEXT_BYTES    28
#define GS_RING_MAX_BURST     8
#define GS_RING_STACK_FRAMES  64
#define GS_RING_WATCH_BURST   128
#define GS_RING_CAPACITY_UNIT 16
#define GS_RING_EVENT_STEP    262144
#define GS_RING_SECTION_STEP  65536
#define GS_RING_HANDLE_BITS   40
#define GS_RING_NO_FD         0xFFFFFFFFu
#define GS_RING_NO_ERRNO      65535
#define GS_RING_ORIGIN_SHIFT  8
#define GS_RING_NOT_STARTED   0x7FFFFFFFu

/* Offsets in the header. */
#define GS_HEADER_MAGIC              0
#define GS_HEADER_VERSION            8
#define GS_HEADER_HEADER_SIZE        12
#define GS_HEADER_PID                16
#define GS_HEADER_HUB                20
#define GS_HEADER_START_MONOTONIC_NS 24
#define GS_HEADER_START_WALL_NS      32
#define GS_HEADER_BOOT_ID            40
#define GS_HEADER_THREAD_ID          56
#define GS_HEADER_STRING_OFFSET      64
#define GS_HEADER_STRING_SIZE        72
#define GS_HEADER_SITE_OFFSET        80
#define GS_HEADER_SITE_CAPACITY      88
#define GS_HEADER_SLOT_OFFSET        96
#define GS_HEADER_SLOT_CAPACITY      104
#define GS_HEADER_EVENT_OFFSET       112
#define GS_HEADER_EVENT_CAPACITY     120
#define GS_HEADER_WATCH_OFFSET       128
#define GS_HEADER_WATCH_CAPACITY     136
#define GS_HEADER_PROCESS_START      144
#define GS_HEADER_EVENT_LIMIT        152
#define GS_HEADER_HEAD               192
#define GS_HEADER_STRING_USED        256
#define GS_HEADER_SITE_COUNT         264
#define GS_HEADER_SLOT_USED          268
#define GS_HEADER_STRINGS_LOST       272
#define GS_HEADER_SITES_LOST         276
#define GS_HEADER_SLOTS_LOST         280
#define GS_HEADER_CLOSED             284
#define GS_HEADER_END_MONOTONIC_NS   288
#define GS_HEADER_END_WALL_NS        296
#define GS_HEADER_SPACE_LOST         304
#define GS_HEADER_DETAIL             308
#define GS_HEADER_WATCH_HEAD         320
#define GS_HEADER_ALIVE_NS           328
#define GS_HEADER_STALL_NS           384
#define GS_HEADER_SNAPSHOT_NS        392
#define GS_HEADER_FIRST              400
#define GS_HEADER_SNAPSHOT_REASON    408
#define GS_HEADER_THREAD_NAME        512
#define GS_HEADER_HOST               576
#define GS_HEADER_WRITER             640
#define GS_HEADER_EXECUTABLE         704
#define GS_HEADER_ARGV               1216

/* Offsets in a greenlet's slot. */
#define GS_SLOT_SEQUENCE     0
#define GS_SLOT_NAME         4
#define GS_SLOT_GREENLET     8
#define GS_SLOT_SINCE_NS     16
#define GS_SLOT_RESOURCE     24
#define GS_SLOT_FD_PLUS_1    28
#define GS_SLOT_DEADLINE_NS  32
#define GS_SLOT_RUN_NS       40
#define GS_SLOT_SWITCHES     48
#define GS_SLOT_SITE         56
#define GS_SLOT_STATE        60
#define GS_SLOT_REASON       61
#define GS_SLOT_FLAGS        62
#define GS_SLOT_PEER_LENGTH  63
#define GS_SLOT_PARENT       64
#define GS_SLOT_SPAWN_SITE   72
#define GS_SLOT_SPAWN_REASON 76
#define GS_SLOT_ORIGIN       77
#define GS_SLOT_PEER         80

/* States of a greenlet's slot. */
#define GS_STATE_FREE    0
#define GS_STATE_SPAWNED 1
#define GS_STATE_READY   2
#define GS_STATE_RUNNING 3
#define GS_STATE_WAITING 4

/* What happened. */
#define GS_KIND_TEXT             0
#define GS_KIND_GREENLET_SPAWN   1
#define GS_KIND_GREENLET_NAME    2
#define GS_KIND_GREENLET_READY   3
#define GS_KIND_GREENLET_SWITCH  4
#define GS_KIND_GREENLET_THROW   5
#define GS_KIND_GREENLET_PARK    6
#define GS_KIND_GREENLET_EXIT    7
#define GS_KIND_WATCHER_OPEN     16
#define GS_KIND_WATCHER_START    17
#define GS_KIND_WATCHER_FIRE     18
#define GS_KIND_WATCHER_STOP     19
#define GS_KIND_WATCHER_CLOSE    20
#define GS_KIND_WATCHER_REFUSE   21
#define GS_KIND_TIMEOUT_START    32
#define GS_KIND_TIMEOUT_FIRE     33
#define GS_KIND_TIMEOUT_CANCEL   34
#define GS_KIND_POLL_BEGIN       48
#define GS_KIND_POLL_END         49
#define GS_KIND_CALLBACK_BEGIN   50
#define GS_KIND_CALLBACK_END     51
#define GS_KIND_LOOP_EXIT        52
#define GS_KIND_JOB_PUT          56
#define GS_KIND_JOB_END          57
#define GS_KIND_RESOURCE_ACQUIRE 64
#define GS_KIND_RESOURCE_RELEASE 65
#define GS_KIND_OP_BEGIN         80
#define GS_KIND_OP_END           81
#define GS_KIND_SPAN_BEGIN       96
#define GS_KIND_SPAN_END         97
#define GS_KIND_MARK             98
#define GS_KIND_REQUEST_BEGIN    99
#define GS_KIND_REQUEST_END      100
#define GS_KIND_STALL_BEGIN      112
#define GS_KIND_STALL_END        113
#define GS_KIND_DETAIL           114

/* Reasons of ``greenlet_spawn``: what kind of greenlet began. */
#define GS_SPAWN_GREENLET 0
#define GS_SPAWN_HUB      1
#define GS_SPAWN_MAIN     2
#define GS_SPAWN_RAW      3

/* Reasons of ``greenlet_park``: what the greenlet waits for. */
#define GS_WAIT_OTHER  0
#define GS_WAIT_READ   1
#define GS_WAIT_WRITE  2
#define GS_WAIT_TIMER  3
#define GS_WAIT_LOCK   4
#define GS_WAIT_QUEUE  5
#define GS_WAIT_EVENT  6
#define GS_WAIT_JOIN   7
#define GS_WAIT_YIELD  8
#define GS_WAIT_THREAD 10
#define GS_WAIT_CHILD  11
#define GS_WAIT_SIGNAL 12
#define GS_WAIT_LOOKUP 13

/* Reasons of ``greenlet_ready``: who made it ready, and so what ``arg`` numbers. */
#define GS_READY_OTHER    0
#define GS_READY_WATCHER  1
#define GS_READY_GREENLET 2
#define GS_READY_TIMEOUT  3
#define GS_READY_SPAWN    4
#define GS_READY_KILL     5
#define GS_READY_CLOSE    6
#define GS_READY_YIELD    7

/* Reasons of ``greenlet_exit``, and of the ends of spans, requests and callbacks: how it ended. */
#define GS_EXIT_RETURNED 0
#define GS_EXIT_RAISED   1
#define GS_EXIT_KILLED   2

/* Reasons of the ``watcher_…`` kinds: what the watcher watches. */
#define GS_WATCH_READ    1
#define GS_WATCH_WRITE   2
#define GS_WATCH_TIMER   3
#define GS_WATCH_ASYNC   4
#define GS_WATCH_SIGNAL  5
#define GS_WATCH_CHILD   6
#define GS_WATCH_CHECK   7
#define GS_WATCH_IDLE    8
#define GS_WATCH_PREPARE 9

/* Reasons of the ``timeout_…`` kinds: where the timeout comes from. */
#define GS_TIMEOUTS_SCOPE  0
#define GS_TIMEOUTS_SOCKET 1

/* Reasons of the ``resource_…`` kinds: what is held. */
#define GS_RESOURCE_OTHER     0
#define GS_RESOURCE_LOCK      1
#define GS_RESOURCE_RLOCK     2
#define GS_RESOURCE_SEMAPHORE 3
#define GS_RESOURCE_CONDITION 4
#define GS_RESOURCE_QUEUE     5
#define GS_RESOURCE_EVENT     6
#define GS_RESOURCE_RESULT    7

/* Reasons of the ``op_…`` kinds: the call of a socket. */
#define GS_OP_OTHER         0
#define GS_OP_CONNECT       1
#define GS_OP_ACCEPT        2
#define GS_OP_RECV          3
#define GS_OP_RECV_INTO     4
#define GS_OP_RECVFROM      5
#define GS_OP_RECVFROM_INTO 6
#define GS_OP_RECVMSG       7
#define GS_OP_RECVMSG_INTO  8
#define GS_OP_SEND          9
#define GS_OP_SENDALL       10
#define GS_OP_SENDTO        11
#define GS_OP_SENDMSG       12
#define GS_OP_SENDFILE      13
#define GS_OP_HANDSHAKE     14
#define GS_OP_UNWRAP        15

/* Reasons of ``detail``: how much is recorded, each level with all that the one before it has. */
#define GS_DETAIL_SWITCH 0
#define GS_DETAIL_IO     1
#define GS_DETAIL_TEACH  2

/* Reasons of ``stall_begin``: what the hub's thread did in the kernel when it was looked at. */
#define GS_BLOCKED_UNKNOWN 0
#define GS_BLOCKED_RUNNING 1
#define GS_BLOCKED_GIL     2
#define GS_BLOCKED_SLEEP   3
#define GS_BLOCKED_RECEIVE 4
#define GS_BLOCKED_SEND    5
#define GS_BLOCKED_CONNECT 6
#define GS_BLOCKED_ACCEPT  7
#define GS_BLOCKED_POLL    8
#define GS_BLOCKED_LOCK    9
#define GS_BLOCKED_CHILD   10
#define GS_BLOCKED_PIPE    11
#define GS_BLOCKED_FILE    12
#define GS_BLOCKED_OTHER   13

/* The header's ``snapshot_reason``: why a snapshot was made. */
#define GS_SNAPSHOT_ASKED     0
#define GS_SNAPSHOT_SIGNAL    1
#define GS_SNAPSHOT_EXCEPTION 2
#define GS_SNAPSHOT_LOOP_EXIT 3
#define GS_SNAPSHOT_STALL     4

#endif
