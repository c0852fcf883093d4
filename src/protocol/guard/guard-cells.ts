/**
 * The cells a replica shares with the main thread. The replica stores its
 * STATE, then reads STOP; the main thread stores STOP, then reads STATE. With
 * both in that order at least one side sees the other, so a thread is never
 * terminated inside a native call: onnxruntime-node would abort the process.
 */
export const STATE = 0
export const STOP = 1
/** Which run of its pack the replica has begun last, `NONE` before the first: the later ones are untouched. */
export const RUN = 2
/** Counts the tasks that were sent, so that a thread can see the next one without being woken for it. */
export const SENT = 3
export const CELL_COUNT = 4

export const NONE = -1

/** The replica runs JavaScript, or waits: it may be terminated. */
export const OUTSIDE_NATIVE = 0
/** The replica is in a native call, or about to enter one. */
export const INSIDE_NATIVE = 1
