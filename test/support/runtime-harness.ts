import { fileURLToPath } from 'node:url'
import type {
  errors,
  LoadModelOptions,
  ModelHandle,
  Outputs,
  PredictOptions,
  Runtime,
  RuntimeOptions,
  Transition,
} from 'tbcoin-engine'
import { expect } from 'vitest'
import type { Place } from './load-gate.js'

/** Creates a runtime that logs nothing, with one replica for each version. */
export async function quietRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  // Imported here only: tests over a simulated machine use the other exports, and run before the build.
  const { createRuntime } = await import('tbcoin-engine')
  return createRuntime({ logLevel: 'silent', replicas: 1, ...options })
}

export const gatedLoader: URL = new URL('./loaders/gated-loader.mjs', import.meta.url)
export const limitedLoader: URL = new URL('./loaders/limited-loader.mjs', import.meta.url)

/** The options of the gated loader; see there. */
export interface GatedOptions {
  readonly gate?: { readonly memory: unknown } | undefined
  readonly hold?: readonly Place[]
  readonly offset?: number
  readonly load?: 'throw' | 'exit'
  readonly extraInput?: string
  readonly name?: string
}

export type GatedConfig = NonNullable<LoadModelOptions['config']>

/** Returns the options of `loadModel` and `hotSwapModel` for a version of the gated loader. */
export function gated(
  { gate, name = 'gated', ...rest }: GatedOptions = {},
  config: GatedConfig = {},
): { name: string; modelType: string; source: string; config: GatedConfig } {
  return {
    name,
    modelType: 'gated',
    // The loader reads no file, but a source has to exist.
    source: fileURLToPath(gatedLoader),
    config: { ...config, loaderOptions: { ...rest, gate: gate?.memory } },
  }
}

/** Loads a version; resolves when all its replicas serve. */
export async function loadGated(
  runtime: Runtime,
  version: string,
  options: GatedOptions = {},
  config: GatedConfig = {},
): Promise<ModelHandle> {
  runtime.models.registerModelLoader('gated', gatedLoader)
  const handle = await runtime.models.loadModel({ ...gated(options, config), version })
  await allServing(handle)
  return handle
}

/** Resolves when all replicas of a version serve; a load awaits only the first. */
export async function allServing(handle: ModelHandle): Promise<void> {
  for (;;) {
    const { pool } = handle.stats()
    if (pool === undefined || pool.idle + pool.busy >= pool.wanted) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Sends one request to the gated model; `action` selects the side effect in its thread. */
export async function ask(
  runtime: Runtime,
  x: number,
  action = '',
  options?: PredictOptions,
  name = 'gated',
): Promise<number> {
  return yOf(await runtime.predict(name, { x, do: action }, options))
}

export function yOf(outputs: Outputs): number {
  return Number(outputs.y?.data[0])
}

/** Resolves with the error that a promise rejects with; fails the test if it resolves. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  )
  if ('error' in outcome) return outcome.error
  throw new Error(`resolved: ${JSON.stringify(outcome.value)}`)
}

export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return (await errorOf(promise)).code
}

/** Returns a live list of all transitions of versions, as `gated@1 ready>starting`. */
export function movesOf(runtime: Runtime): string[] {
  const moves: string[] = []
  runtime.on('transition', ({ component, from, to }) => {
    moves.push(`${component.replace('model ', '')} ${from}>${to}`)
  })
  return moves
}

/** Resolves at the next transition that fits; use `inState` for a version that may already be there. */
export function nextMove(runtime: Runtime, fits: (move: Transition) => boolean): Promise<Transition> {
  return new Promise((resolve) => {
    const listen = (move: Transition): void => {
      if (!fits(move)) return
      runtime.off('transition', listen)
      resolve(move)
    }
    runtime.on('transition', listen)
  })
}

export function stateOf(runtime: Runtime, name: string, version: string): string | undefined {
  return runtime.models.getModel(name, version)?.state
}

export async function inState(runtime: Runtime, name: string, version: string, state: string): Promise<void> {
  if (stateOf(runtime, name, version) === state) return
  await nextMove(runtime, (move) => move.component === `model ${name}@${version}` && move.to === state)
}

/** Runs all work that waits for no thread and no timer. */
export async function settle(rounds = 20): Promise<void> {
  for (let i = 0; i < rounds; i += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Concurrent callers whose counts must balance: submitted = answered + rejected with a known code. */
export class Callers {
  submitted = 0
  answered = 0
  readonly rejected = new Map<string, number>()
  readonly answeredBy = new Map<string, number>()
  readonly wrong: string[] = []
  #isOver = false
  #work: Promise<void>[] = []

  readonly runtime: Runtime
  readonly name: string
  /** The number that each version adds to `x`. */
  readonly offsets: Readonly<Record<string, number>>

  constructor(runtime: Runtime, name: string, offsets: Readonly<Record<string, number>>) {
    this.runtime = runtime
    this.name = name
    this.offsets = offsets
  }

  /** Sends one request, which the active version has to serve. */
  async call(x: number): Promise<void> {
    const admitted = this.runtime.models.getModel(this.name)?.version ?? 'none'
    this.submitted += 1
    try {
      const y = yOf(await this.runtime.predict(this.name, { x: Float32Array.of(x) }))
      this.answered += 1
      this.answeredBy.set(admitted, (this.answeredBy.get(admitted) ?? 0) + 1)
      const expected = x + (this.offsets[admitted] ?? Number.NaN)
      if (y !== expected) this.wrong.push(`${x} admitted by ${admitted}: ${y} and not ${expected}`)
    } catch (error) {
      const { code = `unknown: ${String(error)}` } = error as { code?: string }
      this.rejected.set(code, (this.rejected.get(code) ?? 0) + 1)
      // Some rejections take no time, and a caller that repeated them at once would starve all other work.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  start(concurrency: number): void {
    const loop = async (): Promise<void> => {
      for (let x = 0; !this.#isOver; x = (x + 1) % 1000) await this.call(x)
    }
    this.#work = Array.from({ length: concurrency }, loop)
  }

  /** Resolves when `count` more requests have settled. */
  async more(count: number): Promise<void> {
    const target = this.settled + count
    while (this.settled < target) await new Promise((resolve) => setImmediate(resolve))
  }

  get settled(): number {
    return this.answered + [...this.rejected.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Ends the callers and checks the counts. */
  async finish(...known: (keyof typeof errors)[]): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#work)
    expect(this.wrong).toEqual([])
    expect(this.settled).toBe(this.submitted)
    expect([...this.rejected.keys()].filter((code) => !known.includes(code as keyof typeof errors))).toEqual(
      [],
    )
  }
}
