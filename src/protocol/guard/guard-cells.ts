/**
 * The cells that a replica shares with the main thread. The replica stores STATE, then reads STOP; the main thread
 * stores STOP, then reads STATE. In this order at least one side sees the other's value, so a thread is never
 * terminated inside a native call, where onnxruntime-node would abort the process.
 */
export const STATE = 0
export const STOP = 1
/**
 * Index of the run of its pack that the replica began last, `NONE` before the first. The later runs are untouched.
 */
export const RUN = 2
/** Number of tasks sent. A thread that polls it sees the next task without being woken for it. */
export const SENT = 3
export const CELL_COUNT = 4

export const NONE = -1

/** The replica runs JavaScript or waits, so it may be terminated. */
export const OUTSIDE_NATIVE = 0
/** The replica is in a native call, or about to enter one. */
export const INSIDE_NATIVE = 1
