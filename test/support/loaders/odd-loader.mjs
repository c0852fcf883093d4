// Loads the malformed model that `loaderOptions.loads` selects, with the outputs that `answers` selects.
const spec = (name, type = 'float32', dims = [1]) => ({ name, type, dims })
const signature = { inputs: [spec('x')], outputs: [spec('y')] }
const run = () => ({ y: { type: 'float32', dims: [1], data: Float32Array.of(1) } })

const loads = {
  nothing: undefined,
  'no signature': { run },
  'no outputs': { signature: { inputs: [] }, run },
  'a type that is none': { signature: { inputs: [spec('x', 'float')], outputs: [] }, run },
  'a dim that is none': { signature: { inputs: [], outputs: [spec('y', 'float32', [-1])] }, run },
  'odd unsupported outputs': { signature: { ...signature, unsupported: ['z'] }, run },
  'no run': { signature },
  'an odd release': { signature, run, release: 3 },
}
const answers = {
  nothing: undefined,
  'no output': {},
  'another type': { y: { type: 'int32', dims: [1], data: Int32Array.of(1) } },
  'odd dims': { y: { type: 'float32', dims: ['n'], data: Float32Array.of(1) } },
  'another class': { y: { type: 'float32', dims: [1], data: Float64Array.of(1) } },
  'another count': { y: { type: 'float32', dims: [5], data: Float32Array.of(1) } },
}

export async function load({ loaderOptions }) {
  if ('loads' in loaderOptions) return loads[loaderOptions.loads]
  return { signature, run: () => answers[loaderOptions.answers] }
}
