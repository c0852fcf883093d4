const DIMS: readonly number[] = [1, 3, 48, 320]

/** One line of text, 48 x 320, normalised: what is in it does not change how long a run takes. */
export function ocrInput(): { dims: number[]; data: Float32Array } {
  const data = new Float32Array(DIMS.reduce((product, dim) => product * dim, 1))
  for (let index = 0; index < data.length; index += 1) data[index] = Math.sin(index * 0.37)
  return { dims: [...DIMS], data }
}
