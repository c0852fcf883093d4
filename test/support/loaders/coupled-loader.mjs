// Runs in replica threads. x float32[batch] -> y = x + max(0, max(all) - 50): rows affect each other, but
// only if one of them is above 50. `runs` counts the runs, in memory shared with the test.

export async function load({ loaderOptions }) {
  const runs = new Int32Array(loaderOptions.runs)
  const spec = (name) => ({ name, type: 'float32', dims: ['batch'] })
  return {
    signature: { inputs: [spec('x')], outputs: [spec('y')] },
    run({ x: { dims, data } }) {
      Atomics.add(runs, 0, 1)
      const offset = Math.max(0, Math.max(...data) - 50)
      return { y: { type: 'float32', dims: [...dims], data: data.map((value) => value + offset) } }
    },
  }
}
