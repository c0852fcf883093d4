/**
 * Every error code of this library, with its meaning. `retryable` is true if the same request may succeed
 * later, unchanged. The classes below are made from this table; `test/unit/readme.test.ts` compares it with
 * the README.
 */
export const ERROR_TABLE = {
  ERR_INVALID_OPTIONS: {
    retryable: false,
    meaning: 'An option is unknown, has the wrong type or a value out of range.',
  },
  ERR_INVALID_INPUT: {
    retryable: false,
    meaning: "The input does not fit the model's signature; nothing was sent to a replica.",
  },
  ERR_MODEL_NOT_FOUND: {
    retryable: false,
    meaning: 'No model of that name is known to the runtime or its model directory.',
  },
  ERR_VERSION_NOT_FOUND: {
    retryable: false,
    meaning: 'The model is known, that version of it is not.',
  },
  ERR_VERSION_EXISTS: {
    retryable: false,
    meaning: 'That version is loaded already; a version is immutable, so choose a new label.',
  },
  ERR_MODEL_UNAVAILABLE: {
    retryable: true,
    meaning: 'The model is known but cannot serve requests now; `cause` is the reason.',
  },
  ERR_MODEL_LOAD: {
    retryable: false,
    meaning: 'The model could not be loaded: it is missing, damaged or rejected by its loader.',
  },
  ERR_WARMUP: {
    retryable: false,
    meaning: 'The model was loaded, but its warm-up run failed.',
  },
  ERR_SIGNATURE_MISMATCH: {
    retryable: false,
    meaning: 'The new version does not accept what the active one accepts.',
  },
  ERR_OVERLOADED: {
    retryable: true,
    meaning: "The version's queue is full; `retryAfterMs` is a hint.",
  },
  ERR_DEADLINE_EXCEEDED: {
    retryable: true,
    meaning: 'The deadline passed; `stage` says whether the request was queued or in flight.',
  },
  ERR_ABORTED: {
    retryable: false,
    meaning: "The caller's signal aborted; `cause` is the signal's reason.",
  },
  ERR_INFERENCE: {
    retryable: false,
    meaning: 'The run itself failed inside the model.',
  },
  ERR_REPLICA_EXITED: {
    retryable: true,
    meaning: 'The worker thread that ran the request died; it is being replaced.',
  },
  ERR_CIRCUIT_OPEN: {
    retryable: true,
    meaning: 'Replicas of this version keep dying; the crash budget is spent.',
  },
  ERR_INSUFFICIENT_MEMORY: {
    retryable: true,
    meaning:
      'The model does not fit into the memory budget, or there is no memory for the input or outputs of a request.',
  },
  ERR_DRAIN_TIMEOUT: {
    retryable: true,
    meaning:
      'The version was being drained, and the time limit of the drain passed before the request ended.',
  },
  ERR_RUNTIME_CLOSED: {
    retryable: false,
    meaning: 'The runtime is closing or closed.',
  },
  ERR_ILLEGAL_TRANSITION: {
    retryable: false,
    meaning: 'The operation would move a component to a state that cannot follow its present one.',
  },
  ERR_SWAP_SUPERSEDED: {
    retryable: false,
    meaning: 'A newer swap of the same model was requested before this one was promoted.',
  },
  ERR_ALREADY_ACTIVE: {
    retryable: false,
    meaning: 'The version to swap in is the active one.',
  },
  ERR_VERSION_CONFLICT: {
    retryable: false,
    meaning: 'The active version is not the `oldVersion` the caller named.',
  },
  ERR_INVALID_MANIFEST: {
    retryable: false,
    meaning: 'A model.json or version.json of the model directory is not valid.',
  },
  ERR_UNSUPPORTED_MODEL: {
    retryable: false,
    meaning: 'The model uses something that cannot be served here; the message names it.',
  },
  ERR_REPLICA_STUCK: {
    retryable: true,
    meaning: 'The run did not return in time; its replica is quarantined and replaced.',
  },
  ERR_RESOURCE_NOT_FOUND: {
    retryable: false,
    meaning: 'No resource of that name or type is registered.',
  },
  ERR_RESOURCE_INIT: {
    retryable: true,
    meaning: "A resource's initializer failed.",
  },
  ERR_STARTUP: {
    retryable: false,
    meaning: 'A startup handler failed; what had started was stopped again.',
  },
  ERR_SHUTDOWN: {
    retryable: false,
    meaning: 'One or more shutdown handlers failed.',
  },
} as const satisfies Record<string, { retryable: boolean; meaning: string }>

export type ErrorCode = keyof typeof ERROR_TABLE

/** Fields that an error can carry beside its message. */
export interface RuntimeErrorFields {
  /** Name of the model concerned. */
  model?: string | undefined
  /** Version of the model concerned. */
  version?: string | undefined
  /** The error or abort reason that led to this one. */
  cause?: unknown
  /** `ERR_DEADLINE_EXCEEDED`: the stage of the request when its deadline passed. */
  stage?: 'queued' | 'in-flight' | undefined
  /** `ERR_OVERLOADED`: the recommended wait before a retry, in milliseconds. */
  retryAfterMs?: number | undefined
  /** `ERR_INSUFFICIENT_MEMORY`: memory that the load is expected to take, in bytes. */
  neededBytes?: number | undefined
  /** `ERR_INSUFFICIENT_MEMORY`: memory that the load may take, in bytes. */
  freeBytes?: number | undefined
}

/** The symbol that marks errors of this library, also those made by another copy of the package. */
const BRAND = Symbol.for('tbcoin-engine.RuntimeError')

/**
 * Base class of every error of this library. `code` is stable and part of the contract, the message is not.
 * Narrow an unknown error with `isRuntimeError`.
 */
export class RuntimeError extends Error {
  readonly code: ErrorCode
  /** True if the same request may succeed later, unchanged. */
  readonly retryable: boolean
  declare readonly model?: string
  declare readonly version?: string
  declare readonly stage?: 'queued' | 'in-flight'
  declare readonly retryAfterMs?: number

  constructor(code: ErrorCode, message: string, fields: RuntimeErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.code = code
    this.retryable = ERROR_TABLE[code].retryable
    for (const key of ['model', 'version', 'stage', 'retryAfterMs', 'neededBytes', 'freeBytes'] as const) {
      if (fields[key] !== undefined)
        Object.defineProperty(this, key, { value: fields[key], enumerable: true })
    }
  }

  get [BRAND](): true {
    return true
  }
}

// Makes `instanceof` hold for errors made by another copy of this package, and for the class that has their
// code.
Object.defineProperty(RuntimeError, Symbol.hasInstance, {
  value: function isInstance(this: typeof RuntimeError, value: unknown): boolean {
    if (this === RuntimeError) return isRuntimeError(value)
    const code: unknown = Object.getOwnPropertyDescriptor(this, 'code')?.value
    if (code === undefined) return Function.prototype[Symbol.hasInstance].call(this, value)
    return isRuntimeError(value) && value.code === code
  },
})

/** An error whose code is `C`. */
export interface ErrorOf<C extends ErrorCode> extends RuntimeError {
  readonly code: C
}

/** The class of all errors whose code is `C`. */
export interface ErrorClass<C extends ErrorCode> {
  readonly code: C
  new (message: string, fields?: RuntimeErrorFields): ErrorOf<C>
}

/**
 * Returns the name of a code's class: `ModelNotFoundError` for `ERR_MODEL_NOT_FOUND`, the web's `AbortError`
 * for an abort.
 */
function classNameOf(code: ErrorCode): string {
  if (code === 'ERR_ABORTED') return 'AbortError'
  const words = code.slice('ERR_'.length).toLowerCase().split('_')
  return `${words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')}Error`
}

function defineErrorClass(code: ErrorCode): ErrorClass<ErrorCode> {
  const name = classNameOf(code)
  const subclass = class extends RuntimeError {
    static readonly code = code
    constructor(message: string, fields?: RuntimeErrorFields) {
      super(code, message, fields)
    }
  }
  Object.defineProperty(subclass, 'name', { value: name })
  Object.defineProperty(subclass.prototype, 'name', { value: name, configurable: true, writable: true })
  return subclass
}

/** The error classes by code: `new errors.ERR_MODEL_NOT_FOUND(message, { model })`. */
export const errors = Object.fromEntries(
  (Object.keys(ERROR_TABLE) as ErrorCode[]).map((code) => [code, defineErrorClass(code)]),
) as { readonly [C in ErrorCode]: ErrorClass<C> }

/** The union of all errors, so that `switch (error.code)` narrows. */
export type AnyRuntimeError = { [C in ErrorCode]: ErrorOf<C> }[ErrorCode]

/**
 * Returns true if `value` is an error of this library, and narrows it. Errors made by another copy of the
 * package count too; a replica, for example, has a copy of its own.
 */
export function isRuntimeError(value: unknown): value is AnyRuntimeError {
  try {
    return value instanceof Error && BRAND in value
  } catch {
    return false
  }
}

/** Returns the message of a thrown value of any type, also of one whose getters throw. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error)
  } catch {
    return 'an error that cannot be read'
  }
}
