import type { ErrorCode } from '../../src/errors/errors.js'

const ALWAYS: readonly ErrorCode[] = ['ERR_RUNTIME_CLOSED']
const LOAD: readonly ErrorCode[] = [
  'ERR_MODEL_LOAD',
  'ERR_INSUFFICIENT_MEMORY',
  'ERR_MODEL_UNAVAILABLE',
  'ERR_CIRCUIT_OPEN',
  'ERR_VERSION_EXISTS',
]
const LOOKUP: readonly ErrorCode[] = ['ERR_MODEL_NOT_FOUND', 'ERR_VERSION_NOT_FOUND']
const SWAP: readonly ErrorCode[] = [
  ...LOAD,
  ...LOOKUP,
  'ERR_SWAP_SUPERSEDED',
  'ERR_ALREADY_ACTIVE',
  'ERR_VERSION_CONFLICT',
]

/** The codes that each operation may reject with. */
const CODES = {
  startup: ['ERR_STARTUP'],
  load: [
    ...LOAD,
    'ERR_SWAP_SUPERSEDED',
    'ERR_ALREADY_ACTIVE',
    'ERR_VERSION_NOT_FOUND',
    'ERR_MODEL_NOT_FOUND',
  ],
  swap: SWAP,
  rollback: SWAP,
  drained: [],
  evict: [],
  unload: LOOKUP,
  resize: [...LOOKUP, ...LOAD],
  health: [],
  close: [],
  initialize: ['ERR_RESOURCE_INIT', 'ERR_RESOURCE_NOT_FOUND', 'ERR_INVALID_OPTIONS'],
  cleanUp: ['ERR_RESOURCE_NOT_FOUND', 'ERR_SHUTDOWN'],
  acquire: ['ERR_RESOURCE_NOT_FOUND', 'ERR_RESOURCE_INIT', 'ERR_DEADLINE_EXCEEDED'],
} as const satisfies Record<string, readonly ErrorCode[]>

export type Operation = keyof typeof CODES

/** The calls of the runtime other than requests, and their outcomes. */
export class Operations {
  readonly #open = new Map<number, { readonly operation: Operation; readonly target: string | undefined }>()
  readonly #violated: (what: string) => void
  readonly #happened: (what: string) => void
  #count = 0

  constructor(violated: (what: string) => void, happened: (what: string) => void) {
    this.#violated = violated
    this.#happened = happened
  }

  /**
   * Follows a call; `done` is called with its result. `target` is the version that the call makes active, as
   * `model@version`, or the model if only the runtime knows the version.
   */
  follow<T>(
    operation: Operation,
    promise: Promise<T>,
    done: (value: T) => void = () => undefined,
    target?: string,
  ): void {
    this.#count += 1
    const id = this.#count
    this.#open.set(id, { operation, target })
    promise.then(
      (value) => {
        this.#settled(id, operation, 'done')
        done(value)
      },
      (error: { readonly code?: ErrorCode }) => {
        const code = error.code ?? String(error)
        this.#settled(id, operation, code)
        const codes: readonly string[] = [...ALWAYS, ...CODES[operation]]
        if (!codes.includes(code))
          this.#violated(`${operation} rejected with ${code}: ${(error as Error).message}`)
      },
    )
  }

  /** Returns true if a call is in progress that may make this version active. */
  isWanted(model: string, version: string): boolean {
    for (const { operation, target } of this.#open.values()) {
      if (operation === 'startup' || target === model || target === `${model}@${version}`) return true
    }
    return false
  }

  checkEnd(): void {
    for (const [id, { operation }] of this.#open) this.#violated(`call ${id} (${operation}) never settled`)
  }

  #settled(id: number, operation: Operation, result: string): void {
    this.#open.delete(id)
    this.#happened(`call ${id} (${operation}): ${result}`)
  }
}
