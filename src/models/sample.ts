import type { ModelConfig } from '../config.js'
import { errors } from '../errors.js'
import type { WarmUp } from '../pools/pool-settings.js'
import { float16Value } from '../tensors/float16.js'
import { prepareFeeds } from '../tensors/prepare-feeds.js'
import type { Feeds, Outputs, Signature, Tensor, TensorData } from '../tensors/tensor.js'

type Sample = NonNullable<ModelConfig['sample']>

/** The configured sample as a warm-up: a valid input, and the answer it must have if one is given. */
export function warmUpFrom(
  sample: Sample | undefined,
  subject: { model: string; version: string },
): WarmUp | undefined {
  if (sample === undefined) return undefined
  let outputs: Signature['outputs'] = []
  return {
    feeds(signature): Feeds {
      outputs = signature.outputs
      return coerced(signature, sample.input, 'sample.input', subject)
    },
    check(answer: Outputs): void {
      if (sample.output === undefined) return
      const wanted = Object.keys(sample.output)
      const inputs = outputs.filter((spec) => wanted.includes(spec.name))
      const expected = coerced({ inputs, outputs }, sample.output, 'sample.output', subject)
      for (const name of wanted) compare(name, expected[name] as Tensor, answer[name], sample, subject)
    },
  }
}

function coerced(
  signature: Signature,
  values: unknown,
  what: string,
  subject: { model: string; version: string },
): Feeds {
  try {
    return prepareFeeds(signature, values, subject)
  } catch (cause) {
    throw new errors.ERR_WARMUP(
      `${what} does not fit ${subject.model}@${subject.version}: ${(cause as Error).message}`,
      { ...subject, cause },
    )
  }
}

function compare(
  name: string,
  expected: Tensor,
  actual: Tensor | undefined,
  tolerance: { rtol: number; atol: number },
  subject: { model: string; version: string },
): void {
  if (actual === undefined) {
    throw new errors.ERR_WARMUP(
      `${subject.model}@${subject.version} gives no output "${name}" for the sample`,
      subject,
    )
  }
  const isSameShape = expected.dims.join() === actual.dims.join()
  for (let i = 0; isSameShape && i < expected.data.length; i += 1) {
    const want = elementOf(expected, i)
    const got = elementOf(actual, i)
    if (want === got || isClose(want, got, tolerance)) continue
    throw new errors.ERR_WARMUP(
      `output "${name}" of ${subject.model}@${subject.version} answers the sample with ${got} at ${i}, expected ${want}`,
      subject,
    )
  }
  if (isSameShape) return
  throw new errors.ERR_WARMUP(
    `output "${name}" of ${subject.model}@${subject.version} answers the sample with dims [${actual.dims}], expected [${expected.dims}]`,
    subject,
  )
}

function elementOf({ type, data }: Tensor, index: number): TensorData[number] | undefined {
  return type === 'float16' ? float16Value(data[index] as number) : data[index]
}

function isClose(want: unknown, got: unknown, { rtol, atol }: { rtol: number; atol: number }): boolean {
  if (typeof want !== 'number' || typeof got !== 'number') return false
  if (Number.isNaN(want) && Number.isNaN(got)) return true
  if (!Number.isFinite(want) || !Number.isFinite(got)) return false
  return Math.abs(want - got) <= atol + rtol * Math.abs(want)
}
