/**
 * The parts of the state of this process, each with the number of its shape, which grows when a copy of this package
 * that knows another shape could not use it any more. Turns of threads are shared beyond this, see `sharedTurns`.
 */
export const SHAPES = {
  /** The replicas that an exit waits for, and the exit hook that does. */
  'replica-guard': 1,
  /** All that is shut down by signals, and the handlers of these. */
  signals: 1,
  /** The processes that try models, and the listener that ends them with this one. */
  builders: 1,
  /** The entries of artifact caches that are in use. */
  'cache-uses': 1,
  /** The loads by which malloc is set. */
  loads: 1,
  /** The blocks that keep V8 from collecting too often. */
  'gc-ballast': 1,
  /** The C library. */
  libc: 1,
  /** The native libraries that are kept open. */
  onnxruntime: 1,
  /** The name of this process in folders that processes share. */
  identity: 1,
} as const

/** Never changes: it is what the copies of all versions look for. */
const KEY = Symbol.for('tbcoin-engine.process')

/**
 * Returns a part of the state of this process, in a worker thread of that thread. It is made by the first copy of this
 * package that asks for it, and shared by all that know the same shape: a program may have several copies, as an ES
 * module and as CommonJS, or in several versions. A part of another shape stands beside it and is left alone.
 */
export function processWide<T extends object>(part: keyof typeof SHAPES, create: () => T): T {
  const holder = globalThis as { [KEY]?: { [name: string]: object } }
  holder[KEY] ??= Object.create(null) as { [name: string]: object }
  const name = `${part}/${SHAPES[part]}`
  holder[KEY][name] ??= create()
  return holder[KEY][name] as T
}
