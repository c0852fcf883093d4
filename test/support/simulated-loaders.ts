import { errors } from '../../src/errors/errors.js'
import type { Tensor, TensorSpec } from '../../src/tensors/tensor.js'
import type { Place } from './load-gate.js'
import { SimulatedGate } from './simulated-gate.js'
import type { SimulatedContext, SimulatedLoader } from './simulated-thread.js'

interface GatedLoaderOptions {
  readonly gate?: unknown
  readonly hold?: readonly Place[]
  readonly offset?: number
  readonly load?: 'throw' | 'exit'
  readonly extraInput?: string
}

const scalar = (name: string, type: TensorSpec['type'] = 'float32'): TensorSpec => ({ name, type, dims: [1] })

const float = (value: number): Tensor => ({ type: 'float32', dims: [1], data: Float32Array.of(value) })

/** Simulates the built-in loader with a file that holds y = x + `offset`. */
export function adding(offset: number, inputs: readonly string[] = ['x']): SimulatedLoader {
  return async ({ native }) => ({
    signature: { inputs: inputs.map((name) => scalar(name)), outputs: [scalar('y')] },
    run: ({ x }) => native(() => ({ y: float(Number(x?.data[0]) + offset) })),
  })
}

/** Simulates the built-in loader with a file that is damaged. */
export const damaged: SimulatedLoader = ({ model, version, native }) =>
  native(() => {
    throw new errors.ERR_MODEL_LOAD('the file is damaged', { model, version })
  })

/** Does what `loaders/gated-loader.mjs` does, without a thread: see there. */
export const gatedModel: SimulatedLoader = async (context) => {
  const { native, log, loaderOptions } = context
  const { gate, hold = [], offset = 0, load, extraInput } = (loaderOptions ?? {}) as GatedLoaderOptions
  const pass = (place: Place): Promise<void> => SimulatedGate.of(gate).pass(place)
  if (load === 'exit') await context.exit(9)
  if (load === 'throw') throw new TypeError('this loader does not want to')
  if (hold.includes('load')) await native(() => pass('load'))
  log('debug', 'gated loader is ready', { offset })
  const inputs = [scalar('x'), scalar('do', 'string')]
  if (extraInput !== undefined) inputs.push(scalar(extraInput))
  return {
    signature: { inputs, outputs: [scalar('y')] },
    run: async (feeds) => {
      await act(String(feeds.do?.data[0]), context, gate)
      return { y: float(Number(feeds.x?.data[0]) + offset) }
    },
    release: async () => {
      if (hold.includes('release')) await pass('release')
    },
  }
}

async function act(action: string, context: SimulatedContext, gate: unknown): Promise<void> {
  const { native, log } = context
  const pass = (): Promise<void> => SimulatedGate.of(gate).pass('run')
  const letThrough = (): Promise<void> => SimulatedGate.of(gate).letThrough('run')
  switch (action) {
    case 'hold':
      return native(pass)
    case 'block':
      return pass()
    case 'throw':
      throw Object.assign(new RangeError('out of range'), { code: 'E_RANGE', size: 3 })
    case 'throw-ours':
      throw new errors.ERR_UNSUPPORTED_MODEL('not that one')
    case 'throw-text':
      throw 'just words'
    case 'hold-exit':
      await native(pass)
      return context.exit(7)
    case 'exit':
    case 'exit-inside':
      return context.exit(7)
    case 'exit-later':
      void letThrough().then(() => context.exit(7))
      return
    case 'crash-later':
      void letThrough().then(() => context.crash(new Error('nobody caught this')))
      return
    case 'log':
      for (const level of ['debug', 'info', 'warn', 'error'] as const) log(level, `a ${level} line`, { n: 1 })
  }
}

/** Does what `loaders/limited-loader.mjs` does: only as many loads succeed as the second number allows. */
export const limitedModel: SimulatedLoader = (context) => {
  const { loads } = context.loaderOptions as { loads: SharedArrayBuffer }
  const cells = new Int32Array(loads)
  if (Atomics.add(cells, 0, 1) >= Atomics.load(cells, 1)) throw new Error('no more of them')
  return gatedModel(context)
}
