// Runs in replica threads. x float32[1] -> y = x + offset; `do` selects a side effect.

const PLACES = ['load', 'run', 'release']

// The array is large enough to be moved rather than copied.
const kept = new Float32Array(5000)

const scalar = (name, type) => ({ name, type, dims: [1] })

/** Waits until `test/support/load-gate.ts` lets this thread through. */
function pass(gate, place) {
  const cells = new Int32Array(gate)
  const cell = PLACES.indexOf(place) * 2
  const ticket = Atomics.add(cells, cell, 1)
  Atomics.notify(cells, cell)
  for (;;) {
    const permits = Atomics.load(cells, cell + 1)
    if (permits > ticket) return
    Atomics.wait(cells, cell + 1, permits)
  }
}

/** Waits in the same way without blocking the event loop of the thread. */
async function letThrough(gate, place) {
  const cells = new Int32Array(gate)
  const cell = PLACES.indexOf(place) * 2 + 1
  const waiting = Atomics.waitAsync(cells, cell, 0)
  if (waiting.async) await waiting.value
}

/**
 * @param options `gate`; `hold`, the places where every call is held up; `offset`;
 * `load`: 'throw' or 'exit'; `extraInput` for another signature.
 */
export async function load({ loaderOptions, native, log }) {
  const { gate, hold = [], offset = 0, load = 'well', extraInput } = loaderOptions ?? {}
  if (load === 'exit') process.exit(9)
  if (load === 'throw') throw new TypeError('this loader does not want to')
  // The guard protects this wait, as it would a native call.
  if (hold.includes('load')) await native(() => pass(gate, 'load'))
  log('debug', 'gated loader is ready', { offset })
  const inputs = [scalar('x', 'float32'), scalar('do', 'string')]
  if (extraInput !== undefined) inputs.push(scalar(extraInput, 'float32'))
  return {
    signature: { inputs, outputs: [scalar('y', 'float32')] },
    async run(feeds) {
      const action = feeds.do.data[0]
      switch (action) {
        case 'hold':
          await native(() => pass(gate, 'run'))
          break
        case 'block':
          // This wait is JavaScript, so the thread may be ended during it.
          pass(gate, 'run')
          break
        case 'throw':
          throw Object.assign(new RangeError('out of range'), { code: 'E_RANGE', size: 3 })
        case 'throw-ours':
          throw new (await import('tbcoin-engine')).errors.ERR_UNSUPPORTED_MODEL('not that one')
        case 'throw-text':
          throw 'just words'
        case 'exit-inside':
          await native(() => process.exit(7))
          break
        case 'hold-exit':
          await native(() => pass(gate, 'run'))
          process.exit(7)
          break
        case 'exit':
          process.exit(7)
          break
        case 'exit-later':
          // The exit waits for the gate, because otherwise the outputs might not have arrived before it.
          void letThrough(gate, 'run').then(() => process.exit(7))
          break
        case 'crash-later':
          void letThrough(gate, 'run').then(() =>
            queueMicrotask(() => {
              throw new Error('nobody caught this')
            }),
          )
          break
        case 'unclonable':
          return { y: { type: 'float32', dims: [1], data: [() => 1] } }
        case 'kept':
          // This breaks the rule that returned arrays are transferred: the second time, the buffer is gone.
          return { y: { type: 'float32', dims: [5000], data: kept } }
        case 'nothing':
          return undefined
        case 'log':
          for (const level of ['debug', 'info', 'warn', 'error']) log(level, `a ${level} line`, { n: 1 })
          break
      }
      return { y: { type: 'float32', dims: [1], data: Float32Array.of(feeds.x.data[0] + offset) } }
    },
    async release() {
      if (hold.includes('release')) pass(gate, 'release')
    },
  }
}
