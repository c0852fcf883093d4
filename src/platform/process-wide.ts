/**
 * The parts of the state of this process, each with the number of its shape. The number grows when a copy of this
 * package that knows another shape could not use the part any more. The turns of threads are shared beyond the
 * process state, see `sharedTurns`.
 */
export const SHAPES = {
  /** The replicas that an exit waits for, and the exit hook that waits. */
  'replica-guard': 1,
  /** The lifecycles that signals shut down, and the signal handlers. */
  signals: 1,
  /** The processes that try models, and the listener that ends them with this one. */
  builders: 1,
  /** The entries of artifact caches that are in use. */
  'cache-uses': 1,
  /** The loads under way, which determine malloc's settings. */
  loads: 1,
  /** The memory that keeps V8 from collecting too often. */
  'gc-ballast': 1,
  /** The C library. */
  libc: 1,
  /** The native libraries that are kept open. */
  onnxruntime: 1,
  /** The name of this process in folders that processes share. */
  identity: 1,
} as const

/** The key under which copies of all versions look for the state; it must never change. */
const KEY = Symbol.for('tbcoin-engine.process')

/**
 * Returns a part of the state of this process; in a worker thread, of that thread. The first copy of this package
 * that requests it creates it, and all copies that know the same shape share it: a program may contain several
 * copies, as an ES module and as CommonJS, or in several versions. A part of another shape exists beside it,
 * untouched.
 */
export function processWide<T extends object>(part: keyof typeof SHAPES, create: () => T): T {
  const holder = globalThis as { [KEY]?: { [name: string]: object } }
  holder[KEY] ??= Object.create(null) as { [name: string]: object }
  const name = `${part}/${SHAPES[part]}`
  holder[KEY][name] ??= create()
  return holder[KEY][name] as T
}
