/** The fate of the next loads of a replica. */
export type LoadFate = 'loads' | 'fails' | 'dies' | 'hangs'
/** The fate of the next runs of a replica. */
export type RunFate = 'answers' | 'fails' | 'dies' | 'hangs'
/** The fate of the next preparations of a model; `later` builds an artifact once inputs are known. */
export type PrepareFate = 'none' | 'ready' | 'later' | 'fails'
/** The result of the next checks of a source. */
export type SourceFate = 'there' | 'missing'
/** The behaviour of a handler, an initializer or a cleaner of the application. */
export type HandlerFate = 'done' | 'fails' | 'hangs' | 'obeys'

/**
 * The pace of a command: it begins when all due work has run (`settled`), or that many microtasks after the
 * previous command, in the middle of its consequences.
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

/** A listener that calls back into the runtime at the `nth` occurrence of its event. */
export interface Listening {
  readonly event: (typeof EVENTS)[number]
  readonly nth: number
  readonly action: Action
}

/** An action during a program: it comes `microtasks` after the event number `point` has run. */
export interface Interruption {
  readonly point: number
  readonly microtasks: number
  readonly action: Action
}

/** Flaws of the simulated world, which show that the checks can fail. */
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
  /** The number of two-replica pools that fit into memory; 0 is unlimited. */
  readonly rooms?: number
}

/** The input of one run of the simulator; the same program runs in the same way. */
export interface Program {
  readonly seed: number
  readonly settings: Settings
  /** Models whose first version is loaded at the start, and whether a failure of that fails the start. */
  readonly models?: readonly string[]
  readonly onLoadError?: 'throw' | 'degrade'
  /** True if the commands begin while the runtime still starts. */
  readonly isHasty?: boolean
  readonly listeners?: readonly Listening[]
  readonly commands: readonly Command[]
  readonly interruption?: Interruption | undefined
  /** True if all work may complete before the runtime is closed. */
  readonly endsCalmly?: boolean
  readonly closeMs: number
  readonly flaw?: Flaw | undefined
}

/** Returns the program as text that `npm run simulate -- --program` accepts. */
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
