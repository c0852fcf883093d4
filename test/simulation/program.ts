/** The fate of the next loads of a replica. */
export type LoadFate = 'loads' | 'fails' | 'dies' | 'hangs'
/** The fate of the next runs of a replica. */
export type RunFate = 'answers' | 'fails' | 'dies' | 'hangs'
/** The fate of the next preparations of a model; `later`: an artifact can be built once inputs are known. */
export type PrepareFate = 'none' | 'ready' | 'later' | 'fails'
/** The result of the next looks at a source. */
export type SourceFate = 'there' | 'missing'
/** The behaviour of a handler, an initializer or a cleaner of the application. */
export type HandlerFate = 'done' | 'fails' | 'hangs' | 'obeys'

/**
 * A command begins once all that is due has run (`settled`), or that many microtasks after the command
 * before it, in the middle of what that has begun.
 */
export type Pace = 'settled' | number

export type Action =
  | {
      readonly kind: 'predict'
      readonly model: string
      readonly version?: string | undefined
      readonly timeoutMs?: number | undefined
      readonly signalMs?: number | undefined
      readonly priority?: number | undefined
      readonly count?: number | undefined
      readonly viaHandle?: boolean | undefined
    }
  | { readonly kind: 'abort' | 'crash' | 'finish' | 'release'; readonly pick: number }
  | {
      readonly kind: 'load'
      readonly model: string
      readonly version: string
      readonly promote?: boolean | undefined
    }
  | {
      readonly kind: 'swap'
      readonly model: string
      readonly version: string
      readonly drainsFirst?: boolean | undefined
      readonly oldVersion?: string | undefined
    }
  | { readonly kind: 'rollback'; readonly model: string }
  | { readonly kind: 'evict'; readonly maxAgeMs: number }
  | { readonly kind: 'unload'; readonly model: string; readonly version?: string | undefined }
  | { readonly kind: 'resize'; readonly model: string; readonly replicas: number }
  /** The number of the next loads, runs or preparations that have that fate. */
  | { readonly kind: 'loads'; readonly fate: LoadFate; readonly count: number }
  | { readonly kind: 'runs'; readonly fate: RunFate; readonly count: number }
  | { readonly kind: 'prepares'; readonly fate: PrepareFate; readonly count: number }
  | { readonly kind: 'sources'; readonly fate: SourceFate; readonly count: number }
  | { readonly kind: 'pressure'; readonly mib: number }
  | { readonly kind: 'initialize'; readonly name: string; readonly fate: HandlerFate }
  | { readonly kind: 'cleanUp'; readonly name: string }
  | { readonly kind: 'cleans' | 'makes'; readonly fate: HandlerFate }
  | { readonly kind: 'acquire'; readonly timeoutMs: number }
  | { readonly kind: 'addHandler'; readonly fate: HandlerFate; readonly timeoutMs: number }
  | { readonly kind: 'begin' | 'thaw' | 'health' | 'stats' | 'throw' }
  | { readonly kind: 'close'; readonly timeoutMs: number }
  | { readonly kind: 'wait' | 'stall'; readonly ms: number }
  | { readonly kind: 'turns'; readonly count: number }

export type Command = Action & { readonly pace?: Pace | undefined }
export type ActionKind = Action['kind']
export type ActionOf<K extends ActionKind> = Extract<Action, { readonly kind: K }>

export const EVENTS = [
  'transition',
  'promoted',
  'replicaExited',
  'replicaStuck',
  'artifactDecided',
  'closed',
  'received',
  'moved',
  'settled',
] as const

/** A listener that calls back into the runtime, when its event comes for the `nth` time. */
export interface Listening {
  readonly event: (typeof EVENTS)[number]
  readonly nth: number
  readonly action: Action
}

/** An action in the middle of a program: that many microtasks after the thing with that number has run. */
export interface Interruption {
  readonly point: number
  readonly microtasks: number
  readonly action: Action
}

/** Faults of the simulated world, which show that what is checked can fail. */
export type Flaw = 'wrong answer' | 'lost answer' | 'lost thread' | 'lost timer' | 'endless ticks'

export interface Settings {
  readonly replicas?: number
  readonly maxQueue?: number
  readonly standbyMs?: number
  readonly modelIdleMs?: number
  readonly minReplicas?: number | undefined
  readonly crashBudget?: number
  readonly stuckAfterMs?: number
  readonly drainTimeoutMs?: number
  readonly loadTimeoutMs?: number
  readonly maxConcurrentLoads?: number
  readonly maxPackMs?: number
  /** True if requests may share runs. */
  readonly batching?: boolean
  /** Pools of two replicas for which there is room; 0 is without a limit. */
  readonly rooms?: number
}

/** All that happens in one run of the simulator; the same program has the same run. */
export interface Program {
  readonly seed: number
  readonly settings: Settings
  /** Models whose first version is loaded at the start, and whether a failure of that is one of the runtime. */
  readonly models?: readonly string[]
  readonly onLoadError?: 'throw' | 'degrade'
  /** True if the commands begin while the runtime still starts. */
  readonly isHasty?: boolean
  readonly listeners?: readonly Listening[]
  readonly commands: readonly Command[]
  readonly interruption?: Interruption | undefined
  /** True if everything may come to its end before the runtime is closed. */
  readonly endsCalmly?: boolean
  readonly closeMs: number
  readonly flaw?: Flaw | undefined
}

/** Returns the program as text that can be read and given to `npm run simulate -- --program`. */
export function printProgram({ commands, listeners = [], ...rest }: Program): string {
  const lines = (items: readonly object[]): string =>
    items.map((item) => `\n    ${JSON.stringify(item)}`).join(',')
  const fields = Object.entries(rest).filter(([, value]) => value !== undefined)
  return [
    '{',
    ...fields.map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},`),
    `  "listeners": [${lines(listeners)}],`,
    `  "commands": [${lines(commands)}]`,
    '}',
  ].join('\n')
}
