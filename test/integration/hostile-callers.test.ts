import type { ModelInput, PredictOptions } from 'tbcoin-engine'
import { describe, expect, it } from 'vitest'
import { identity, mlp } from '../../models/synthetic/graphs.js'
import { model, node, value } from '../../models/synthetic/onnx-builder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { runtime, start } from '../support/gated-runtime.js'
import { codeOf, loadGated } from '../support/runtime-harness.js'

const boom = (): never => {
  throw new Error('mine')
}

class Matrix extends Float32Array {
  readonly rows: number
  constructor(rows: number, columns: number) {
    super(rows * columns)
    this.rows = rows
  }
}

class Named extends Float32Array {
  readonly label: string
  constructor(count: number, label: string) {
    super(count)
    this.label = label.trim()
  }
}

class Liar extends Float32Array {
  override get length(): number {
    return 1
  }
  override get byteOffset(): number {
    return boom()
  }
  override slice = boom
  override subarray = boom
  override set = boom
}

/** Serves a model whose requests of 64 columns share runs along axis 1. */
async function serveNegation(): Promise<Disposable> {
  const bytes = model({
    inputs: [value('x', 'float32', [2, 'batch', 64])],
    outputs: [value('y', 'float32', [2, 'batch', 64])],
    nodes: [node('Neg', ['x'], ['y'])],
  })
  const repository = tempRepository({ m: { '1': bytes } })
  await start({ modelDir: repository.dir, artifacts: { minBytes: 0 } })
  const ask = (): Promise<unknown> => runtime.predict('m', { x: new Float32Array(128).fill(1) })
  while (runtime.models.getModel('m')?.stats().pool?.batching.state !== 'proven') await ask()
  return repository
}

describe('a typed array of a subclass', () => {
  it.each<[string, () => Float32Array]>([
    ['takes other constructor arguments', () => new Matrix(2, 64)],
    ['throws when it is created by a species', () => new Named(128, 'x')],
    ['overrides inherited members', () => new Liar(128)],
    ['has own properties', () => Object.assign(new Float32Array(128), { constructor: null, slice: boom })],
    ['has no prototype', () => Object.setPrototypeOf(new Float32Array(128), null)],
  ])('that %s is read as it is, in a batch and alone', async (_, make) => {
    using _repository = await serveNegation()
    const odd = make()
    for (let index = 0; index < 128; index += 1) odd[index] = 3
    const plain = new Float32Array(128).fill(1)
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, index) => runtime.predict('m', { x: index === 7 ? odd : plain })),
    )
    for (const [index, { y }] of all.entries()) {
      expect(y?.data).toEqual(new Float32Array(128).fill(index === 7 ? -3 : -1))
    }
    const explicit = { type: 'float32', dims: [2, 1, 64], data: odd } as const
    const alone = await runtime.predict('m', { x: explicit }, { batch: false })
    expect(alone.y?.data).toEqual(new Float32Array(128).fill(-3))
    expect(runtime.models.getModel('m')?.stats()).toMatchObject({ queued: 0, inFlight: 0, errors: 0 })
  })
})

describe('strings in a proxy', () => {
  it('are read once, and run beside other requests', async () => {
    const bytes = model({
      inputs: [value('x', 'string', ['batch', 2])],
      outputs: [value('y', 'string', ['batch', 2])],
      nodes: [node('Identity', ['x'], ['y'])],
    })
    using repository = tempRepository({ m: { '1': bytes } })
    await start({ modelDir: repository.dir, maxPackMs: 50 })
    const data = new Proxy(['p', 'q'], {})
    const reactive = runtime.predict('m', { x: { type: 'string', dims: new Proxy([1, 2], {}), data } })
    const others = Array.from({ length: 30 }, (_, index) => runtime.predict('m', { x: [[`${index}`, '!']] }))
    expect((await reactive).y?.data).toEqual(['p', 'q'])
    for (const [index, { y }] of (await Promise.all(others)).entries())
      expect(y?.data).toEqual([`${index}`, '!'])
  })
})

describe('inputs and options that', () => {
  let looks = 0
  const growing = new Proxy([1, 2, 3, 4], {
    get: (of, key) => (key === 'length' ? 4 + looks++ : Reflect.get(of, key)),
  })
  const four = Float32Array.of(1, 2, 3, 4)
  const gone = (): object => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }

  it.each<[string, () => unknown, () => unknown, string]>([
    [
      'have a getter that throws',
      () => ({
        get x() {
          return boom()
        },
      }),
      () => undefined,
      'ERR_INVALID_INPUT',
    ],
    ['list no keys', () => new Proxy({}, { ownKeys: boom }), () => undefined, 'ERR_INVALID_INPUT'],
    ['are revoked', gone, () => undefined, 'ERR_INVALID_INPUT'],
    ['contain a revoked proxy', () => ({ x: gone() }), () => undefined, 'ERR_INVALID_INPUT'],
    [
      'throw an unreadable value',
      () => ({
        get x() {
          throw gone()
        },
      }),
      () => undefined,
      'ERR_INVALID_INPUT',
    ],
    ['grow while they are read', () => ({ x: [growing] }), () => undefined, 'ERR_INVALID_INPUT'],
    [
      'have a fractional length',
      () => ({ x: [new Proxy([1], { get: (of, key) => (key === 'length' ? 0.5 : Reflect.get(of, key)) })] }),
      () => undefined,
      'ERR_INVALID_INPUT',
    ],
    [
      'have an option that throws',
      () => ({ x: four }),
      () => ({
        get timeoutMs() {
          return boom()
        },
      }),
      'ERR_INVALID_OPTIONS',
    ],
    ['have options that are revoked', () => ({ x: four }), gone, 'ERR_INVALID_OPTIONS'],
    [
      'have a forged signal',
      () => ({ x: four }),
      () => ({ signal: Object.create(AbortSignal.prototype) }),
      'ERR_INVALID_OPTIONS',
    ],
    [
      'have an invalid option that cannot be shown',
      () => ({ x: four }),
      () => ({ priority: new Proxy([], { get: boom }) }),
      'ERR_INVALID_OPTIONS',
    ],
  ])('%s are refused with an error code, and no request stays open', async (_, input, options, code) => {
    using repository = tempRepository({ m: { '1': mlp() } })
    await start({ modelDir: repository.dir })
    const handle = runtime.models.getModel('m')
    const parameters = [input() as ModelInput, options() as PredictOptions] as const
    expect(await codeOf(runtime.predict('m', ...parameters))).toBe(code)
    expect(await codeOf(handle?.predict(...parameters) as Promise<unknown>)).toBe(code)
    expect(handle?.stats()).toMatchObject({ queued: 0, inFlight: 0 })
    expect(runtime.requests.counts().active).toEqual({ received: 0, queued: 0, running: 0 })
    expect((await runtime.predict('m', { x: four })).probabilities?.dims).toEqual([1, 3])
  })

  it.each<[string, () => unknown]>([
    ['a bigint', () => 5n],
    ['a symbol', () => Symbol('m')],
    ['null', () => null],
    ['an object', () => ({})],
    ['a revoked proxy', gone],
  ])('have %s as the model name are refused with an error code', async (_, name) => {
    await start()
    expect(await codeOf(runtime.predict(name() as never, {}))).toMatch(/^ERR_/)
    expect(runtime.requests.counts().active).toEqual({ received: 0, queued: 0, running: 0 })
  })
})

describe('a listener that aborts a request of the same pack', () => {
  it('aborts it, and the others succeed', async () => {
    await start()
    await loadGated(runtime, '1')
    const controllers = new Map<number, AbortController>()
    const ask = (x: number): Promise<unknown> => {
      const controller = new AbortController()
      const answer = runtime.predict('gated', { x, do: '' }, { signal: controller.signal })
      controllers.set(runtime.requests.active().at(-1)?.id ?? 0, controller)
      return answer.then(
        ({ y }) => y?.data[0],
        ({ code }) => code,
      )
    }
    await Promise.all([1, 2, 3].map(ask))
    let running = 0
    runtime.requests.on('transition', ({ id, state }) => {
      if (state !== 'running') return
      running += 1
      if (running === 2) controllers.get(id - 1)?.abort()
    })
    const outcomes = await Promise.all([4, 5, 6].map(ask))
    expect(outcomes.filter((outcome) => outcome !== 'ERR_ABORTED').length).toBeGreaterThanOrEqual(2)
    expect(await ask(7)).toBe(7)
    expect(runtime.models.getModel('gated')?.stats().pool).toMatchObject({ idle: 1, queued: 0, inFlight: 0 })
  })
})

describe('arrays sent with `transfer`', () => {
  it('arrive whole, wherever they lie in their buffers', async () => {
    using repository = tempRepository({ m: { '1': identity('uint8') } })
    await start({ modelDir: repository.dir })
    const whole = new Uint8Array(20_000).fill(1)
    const part = new Uint8Array(20_000).fill(2).subarray(100)
    const shared = new Uint8Array(new SharedArrayBuffer(20_000)).fill(3)
    for (const x of [whole, part, shared]) {
      const expected = Uint8Array.from(x)
      const { y } = await runtime.predict('m', { x }, { transfer: true })
      expect(y?.data).toEqual(expected)
    }
    expect([whole.length, part.length, shared.length]).toEqual([0, 19_900, 20_000])
  })
})
