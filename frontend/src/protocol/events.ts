// Generated from greenscope/trace/events.py and greenscope/trace/analysis/states.py.
// Do not edit: run `python -m tools.generate`.

/** What happened. */
export const Kind = {
  TEXT: 0,
  GREENLET_SPAWN: 1,
  GREENLET_NAME: 2,
  GREENLET_READY: 3,
  GREENLET_SWITCH: 4,
  GREENLET_THROW: 5,
  GREENLET_PARK: 6,
  GREENLET_EXIT: 7,
  WATCHER_OPEN: 16,
  WATCHER_START: 17,
  WATCHER_FIRE: 18,
  WATCHER_STOP: 19,
  WATCHER_CLOSE: 20,
  WATCHER_REFUSE: 21,
  TIMEOUT_START: 32,
  TIMEOUT_FIRE: 33,
  TIMEOUT_CANCEL: 34,
  POLL_BEGIN: 48,
  POLL_END: 49,
  CALLBACK_BEGIN: 50,
  CALLBACK_END: 51,
  LOOP_EXIT: 52,
  JOB_PUT: 56,
  JOB_END: 57,
  RESOURCE_ACQUIRE: 64,
  RESOURCE_RELEASE: 65,
  OP_BEGIN: 80,
  OP_END: 81,
  SPAN_BEGIN: 96,
  SPAN_END: 97,
  MARK: 98,
  REQUEST_BEGIN: 99,
  REQUEST_END: 100,
  STALL_BEGIN: 112,
  STALL_END: 113,
  DETAIL: 114,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Reasons of ``greenlet_spawn``: what kind of greenlet began. */
export const Spawn = {
  GREENLET: 0,
  HUB: 1,
  MAIN: 2,
  RAW: 3,
} as const;
export type Spawn = (typeof Spawn)[keyof typeof Spawn];

/** Reasons of ``greenlet_park``: what the greenlet waits for. */
export const Wait = {
  OTHER: 0,
  READ: 1,
  WRITE: 2,
  TIMER: 3,
  LOCK: 4,
  QUEUE: 5,
  EVENT: 6,
  JOIN: 7,
  YIELD: 8,
  THREAD: 10,
  CHILD: 11,
  SIGNAL: 12,
  LOOKUP: 13,
} as const;
export type Wait = (typeof Wait)[keyof typeof Wait];

/** Reasons of ``greenlet_ready``: who made it ready, and so what ``arg`` numbers. */
export const Ready = {
  OTHER: 0,
  WATCHER: 1,
  GREENLET: 2,
  TIMEOUT: 3,
  SPAWN: 4,
  KILL: 5,
  CLOSE: 6,
  YIELD: 7,
} as const;
export type Ready = (typeof Ready)[keyof typeof Ready];

/** Reasons of ``greenlet_exit``, and of the ends of spans, requests and callbacks: how it ended. */
export const Exit = {
  RETURNED: 0,
  RAISED: 1,
  KILLED: 2,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

/** Reasons of the ``watcher_…`` kinds: what the watcher watches. */
export const Watch = {
  READ: 1,
  WRITE: 2,
  TIMER: 3,
  ASYNC: 4,
  SIGNAL: 5,
  CHILD: 6,
  CHECK: 7,
  IDLE: 8,
  PREPARE: 9,
} as const;
export type Watch = (typeof Watch)[keyof typeof Watch];

/** Reasons of the ``timeout_…`` kinds: where the timeout comes from. */
export const Timeouts = {
  SCOPE: 0,
  SOCKET: 1,
} as const;
export type Timeouts = (typeof Timeouts)[keyof typeof Timeouts];

/** Reasons of the ``resource_…`` kinds: what is held. */
export const Resource = {
  OTHER: 0,
  LOCK: 1,
  RLOCK: 2,
  SEMAPHORE: 3,
  CONDITION: 4,
  QUEUE: 5,
  EVENT: 6,
  RESULT: 7,
} as const;
export type Resource = (typeof Resource)[keyof typeof Resource];

/** Reasons of the ``op_…`` kinds: the call of a socket. */
export const Op = {
  OTHER: 0,
  CONNECT: 1,
  ACCEPT: 2,
  RECV: 3,
  RECV_INTO: 4,
  RECVFROM: 5,
  RECVFROM_INTO: 6,
  RECVMSG: 7,
  RECVMSG_INTO: 8,
  SEND: 9,
  SENDALL: 10,
  SENDTO: 11,
  SENDMSG: 12,
  SENDFILE: 13,
  HANDSHAKE: 14,
  UNWRAP: 15,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

/** Reasons of ``detail``: how much is recorded, each level with all that the one before it has. */
export const Detail = {
  SWITCH: 0,
  IO: 1,
  TEACH: 2,
} as const;
export type Detail = (typeof Detail)[keyof typeof Detail];

/** Reasons of ``stall_begin``: what the hub's thread did in the kernel when it was looked at. */
export const Blocked = {
  UNKNOWN: 0,
  RUNNING: 1,
  GIL: 2,
  SLEEP: 3,
  RECEIVE: 4,
  SEND: 5,
  CONNECT: 6,
  ACCEPT: 7,
  POLL: 8,
  LOCK: 9,
  CHILD: 10,
  PIPE: 11,
  FILE: 12,
  OTHER: 13,
} as const;
export type Blocked = (typeof Blocked)[keyof typeof Blocked];

/** The header's ``snapshot_reason``: why a snapshot was made. */
export const Snapshot = {
  ASKED: 0,
  SIGNAL: 1,
  EXCEPTION: 2,
  LOOP_EXIT: 3,
  STALL: 4,
} as const;
export type Snapshot = (typeof Snapshot)[keyof typeof Snapshot];

/** What a span shows. A stall is a run longer than the threshold. */
export const State = {
  RUNNING: 0,
  READY: 1,
  WAITING: 2,
  STALLED: 3,
} as const;
export type State = (typeof State)[keyof typeof State];

/** The hub's reason to wait, a number that ``Wait`` leaves free for it. */
export const REASON_POLL = 9;

/** Each kind's name and meaning, by its number. */
export const KINDS: Readonly<Record<Kind, { readonly name: string; readonly meaning: string }>> = {
  0: { name: "text", meaning: "bytes that belong to the record before it (a peer's address); not an event of its own" },
  1: { name: "greenlet_spawn", meaning: "a greenlet began to exist (it is not ready before its greenlet_ready)" },
  2: { name: "greenlet_name", meaning: "the greenlet is called this from here on; follows every spawn" },
  3: { name: "greenlet_ready", meaning: "it can run, and waits for the hub to get to it" },
  4: { name: "greenlet_switch", meaning: "the hub switched to it: it runs" },
  5: { name: "greenlet_throw", meaning: "the hub switched to it by raising in it (a timeout, a kill, a closed socket): it runs" },
  6: { name: "greenlet_park", meaning: "it switched to the hub, to wait" },
  7: { name: "greenlet_exit", meaning: "it ended" },
  16: { name: "watcher_open", meaning: "a watcher was made; text records with the peer's address may follow" },
  17: { name: "watcher_start", meaning: "somebody began to wait on it" },
  18: { name: "watcher_fire", meaning: "the loop saw what it watches for" },
  19: { name: "watcher_stop", meaning: "nobody waits on it any more" },
  20: { name: "watcher_close", meaning: "the watcher is gone, and its descriptor may be reused" },
  21: { name: "watcher_refuse", meaning: "somebody wanted to wait on it where another greenlet does, and got an error" },
  32: { name: "timeout_start", meaning: "a timeout began to count for the greenlet that runs" },
  33: { name: "timeout_fire", meaning: "its time is over: it will be raised in the greenlet" },
  34: { name: "timeout_cancel", meaning: "it was stopped before its time was over" },
  48: { name: "poll_begin", meaning: "the hub asks the kernel" },
  49: { name: "poll_end", meaning: "the kernel answered" },
  50: { name: "callback_begin", meaning: "the hub calls a function" },
  51: { name: "callback_end", meaning: "the function is over" },
  52: { name: "loop_exit", meaning: "everybody waits, and nothing is left that could wake anyone: LoopExit will be raised in the main greenlet" },
  56: { name: "job_put", meaning: "a function was given to a pool of threads; they take them in that order" },
  57: { name: "job_end", meaning: "the function is over, and the hub has heard of it; or it was taken back" },
  64: { name: "resource_acquire", meaning: "a greenlet holds it from here on: came in through a lock, took from a queue, saw an event set" },
  65: { name: "resource_release", meaning: "a greenlet holds it no more, or gave to it: went out of a lock, put into a queue, set an event" },
  80: { name: "op_begin", meaning: "the greenlet that runs calls its socket" },
  81: { name: "op_end", meaning: "the call that this greenlet began last is over" },
  96: { name: "span_begin", meaning: "the program began something it has a name for" },
  97: { name: "span_end", meaning: "that is over" },
  98: { name: "mark", meaning: "the program left a mark" },
  99: { name: "request_begin", meaning: "the program began to serve a request" },
  100: { name: "request_end", meaning: "the request was served" },
  112: { name: "stall_begin", meaning: "the hub has not switched for longer than the watchdog's threshold" },
  113: { name: "stall_end", meaning: "the hub switched again" },
  114: { name: "detail", meaning: "from here on so much is recorded" },
};
