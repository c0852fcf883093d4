import { parentPort } from 'node:worker_threads'

// A loader that misbehaves as `loaderOptions` select; only its own request may be affected.

const spec = (name, type = 'float32') => ({ name, type, dims: ['n'] })
const float = (data, dims = [data.length]) => ({ type: 'float32', dims, data })
const ramp = (length, from = 0) => Float32Array.from({ length }, (_, index) => from + index)

class Odd extends Float32Array {
  constructor(length) {
    super(length)
    if (typeof length === 'number' && length !== 5000) throw new Error('the species was asked for')
  }
  get length() {
    return 7
  }
  slice() {
    throw new Error('slice was called')
  }
}

/** The outputs `a` and `b` for each value of `x[0]`. */
const answers = {
  'two views of one buffer': () => {
    const both = ramp(10_000)
    return { a: float(both.subarray(0, 5_000)), b: float(both.subarray(5_000)) }
  },
  'one array twice': () => {
    const one = float(ramp(5_000))
    return { a: one, b: one }
  },
  'a buffer and a view of it': () => {
    const both = ramp(10_000)
    return { a: float(both), b: float(both.subarray(5_000)) }
  },
  'its own input': ({ x }) => ({ a: x, b: x }),
  'a view of shared memory': () => {
    const shared = new Float32Array(new SharedArrayBuffer(40_000))
    shared.set(ramp(5_000), 5_000)
    return { a: float(shared.subarray(5_000)), b: float(shared.subarray(5_000)) }
  },
  'a class of its own': () => {
    const odd = new Odd(5_000)
    odd.set(ramp(5_000))
    return { a: { type: 'float32', dims: [5_000], data: odd }, b: float(ramp(5)) }
  },
  'a dim that changes': () => {
    let looks = 0
    const dims = new Proxy([5_000], { get: (of, key) => (key === '0' ? 5_000 + 1_000 * looks++ : of[key]) })
    return { a: { type: 'float32', dims, data: ramp(5_000) }, b: float(ramp(5)) }
  },
  'a getter that throws': () => ({
    get a() {
      throw new Error('a getter')
    },
    b: float(ramp(5)),
  }),
  'more elements than its dims': () => ({ a: float(ramp(5_000), [4_999]), b: float(ramp(5)) }),
  'fewer elements than its dims': () => ({ a: float(ramp(5), [5_000]), b: float(ramp(5)) }),
  'a negative dim': () => ({ a: float(ramp(5), [-5]), b: float(ramp(5)) }),
  'a dim that is no number': () => ({ a: float(ramp(0), [Number.NaN]), b: float(ramp(5)) }),
  'a detached buffer': () => {
    const gone = ramp(5_000)
    structuredClone(gone, { transfer: [gone.buffer] })
    return { a: float(gone, [5_000]), b: float(ramp(5)) }
  },
  'a forged array': () => ({
    a: { type: 'float32', dims: [5], data: Object.create(Float32Array.prototype) },
    b: float(ramp(5)),
  }),
  nothing: () => undefined,
  'an error that throws': () => {
    throw new Proxy(new Error('x'), {
      get: () => {
        throw new Error('no')
      },
    })
  },
  'an object without a prototype': () => {
    throw Object.create(null)
  },
  'a symbol as message': () => {
    throw Object.assign(new Error('x'), { message: Symbol('y') })
  },
  'its input, changed': ({ x }) => {
    x.data.fill(7)
    structuredClone(x.data, { transfer: [x.data.buffer] })
    return { a: float(ramp(5)), b: float(ramp(5)) }
  },
}

const messages = [
  null,
  undefined,
  5,
  'text',
  [],
  { hello: 1 },
  { kind: 'log' },
  { kind: 'log', level: 'silent' },
]
messages.push({ kind: 'log', level: 'warning', message: 'x', fields: {} }, { kind: 'control-port', port: 7 })

export function load({ loaderOptions, log }) {
  for (const message of messages) parentPort.postMessage(message)
  log('warning', 'a level of Python', { of: 'Python' })
  log('info', Symbol('no text'), { fn: () => undefined })
  log('info', 'without fields', null)
  let kept
  return {
    signature: {
      inputs: [spec('x')],
      outputs: loaderOptions === 'strings' ? [spec('a', 'string')] : [spec('a'), spec('b')],
    },
    run: (feeds) => {
      const [what] = feeds.x.data
      // This overwrites the arrays that the previous run has returned.
      if (kept?.length > 0) kept.fill(-1)
      kept = feeds.x.data
      if (loaderOptions === 'strings') return { a: { type: 'string', dims: [2], data: odd(what) } }
      return answers[Object.keys(answers)[what]](feeds)
    },
  }
}

function odd(what) {
  if (what === 0) return new Proxy(['p', 'q'], {})
  return what === 1 ? ['p', 5] : ['p']
}
