import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Runtime } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelPath } from '../../models/catalogue.js'
import * as graphs from '../../models/synthetic/graphs.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { codeOf, errorOf, quietRuntime, yOf } from '../support/runtime-harness.js'

const LFS_POINTER = `version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
`

let repository: TempRepository
let runtime: Runtime

beforeAll(async () => {
  repository = tempRepository({
    shift: { '1': graphs.constantAnswer(1), '2': graphs.constantAnswer(2) },
    sum: { '1': graphs.add() },
    ids: { '1': graphs.identity('int64', [2]) },
    mlp: { '1': graphs.mlp() },
    text: { '1': graphs.stringInOut() },
    flag: { '1': graphs.identity('bool', [1]) },
    four: { '1': graphs.reshapeFailure() },
  })
  runtime = await quietRuntime()
  // onnxruntime writes a failed run to stderr from native code, and here runs fail on purpose.
  const config = { sessionOptions: { logSeverityLevel: 4 } }
  for (const name of ['shift', 'sum', 'ids', 'mlp', 'text', 'flag', 'four']) {
    await runtime.models.loadModel({ name, version: '1', source: repository.path(name, '1'), config })
  }
})

afterAll(async () => {
  await runtime.close()
  repository.dispose()
})

/** Checks that the other models still serve. */
async function stillServes(): Promise<void> {
  expect(yOf(await runtime.predict('shift', { x: 1 }))).toBe(2)
  expect(runtime.state).toBe('running')
}

describe('a model file', () => {
  let count = 0
  const load = (bytes: Uint8Array | string | undefined, version = '1'): Promise<unknown> => {
    count += 1
    const source = join(repository.dir, `broken-${count}.onnx`)
    if (bytes !== undefined) writeFileSync(source, bytes)
    return runtime.models.loadModel({ name: `broken-${count}`, version, source })
  }
  /** Returns a model whose external weights have this content. */
  const beside = (content: string) => (): Uint8Array => {
    writeFileSync(join(repository.dir, `${count}.bin`), content)
    return graphs.externalData(`${count}.bin`).model
  }

  it.each([
    ['that does not exist', () => undefined, 'ERR_MODEL_LOAD', /no such file/],
    ['that is empty', () => new Uint8Array(0), 'ERR_MODEL_LOAD', /it is empty/],
    ['that is cut off', () => graphs.mlp().subarray(0, 200), 'ERR_MODEL_LOAD', /damaged or cut short$/],
    [
      'that contains text',
      () => 'Not found\n',
      'ERR_MODEL_LOAD',
      /no ONNX model.*begins with the text "Not found"/,
    ],
    ['that is a Git LFS pointer', () => LFS_POINTER, 'ERR_MODEL_LOAD', /`git lfs pull`/],
    ['that is a web page', () => '\ufeff\n<!DOCTYPE html>\n<html>', 'ERR_MODEL_LOAD', /an HTML or XML page/],
    ['that is compressed', () => gzipSync(graphs.mlp()), 'ERR_MODEL_LOAD', /a gzip archive/],
    ['whose weights are a Git LFS pointer', beside(LFS_POINTER), 'ERR_MODEL_LOAD', /\.bin.*`git lfs pull`/],
    ['whose weights are a web page', beside('<html>'), 'ERR_MODEL_LOAD', /\.bin is an HTML or XML page/],
    ['whose weights are empty', beside(''), 'ERR_MODEL_LOAD', /data files is empty: the weights "w"/],
    ['whose weights are cut off', beside('1234'), 'ERR_MODEL_LOAD', /data files is cut short, with 4 bytes/],
    ['with an operator that does not exist', graphs.unknownOperator, 'ERR_MODEL_LOAD', /NoSuchOperator/],
    ['whose weights are missing', () => graphs.externalData().model, 'ERR_MODEL_LOAD', /weights\.bin/],
    [
      'with a sequence as output',
      graphs.sequenceOutput,
      'ERR_UNSUPPORTED_MODEL',
      /output "parts" is a sequence/,
    ],
    ['with a bfloat16 output', graphs.bfloat16Output, 'ERR_UNSUPPORTED_MODEL', /element type bfloat16/],
    ['with an optional as input', graphs.optionalInput, 'ERR_UNSUPPORTED_MODEL', /input "x" is a sequence/],
  ])('%s is refused by name', async (_, bytes, code, message) => {
    const error = await errorOf(load(bytes()))
    expect(error).toMatchObject({ code, model: `broken-${count}`, version: '1' })
    expect(error.message).toMatch(message)
    expect(runtime.models.getModel(`broken-${count}`, '1')?.state).toBe('error')
    const refused = await errorOf(runtime.predict(`broken-${count}`, { x: 1 }))
    expect(refused).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE', model: `broken-${count}`, cause: error })
    await runtime.models.unloadModel(`broken-${count}`)
    expect(await codeOf(runtime.predict(`broken-${count}`, { x: 1 }))).toBe('ERR_MODEL_NOT_FOUND')
    await stillServes()
  })

  it('is refused by a swap as by a load, and the active version keeps serving', async () => {
    const source = join(repository.dir, 'pointer.onnx')
    writeFileSync(source, LFS_POINTER)
    const error = await errorOf(runtime.models.hotSwapModel({ name: 'shift', newVersion: 'broken', source }))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'shift', version: 'broken' })
    expect(error.message).toContain('`git lfs pull`')
    await runtime.models.unloadModel('shift', 'broken')
    await stillServes()
  })

  it.runIf(process.platform !== 'win32')(
    'that is a folder or a pipe is refused before it is read',
    async () => {
      const pipe = join(repository.dir, 'pipe')
      execFileSync('mkfifo', [pipe])
      for (const [source, message] of [
        [repository.dir, /it is a folder/],
        [pipe, /no regular file/],
      ] as const) {
        const error = await errorOf(runtime.models.loadModel({ name: 'odd', version: '1', source }))
        expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', message: expect.stringMatching(message) })
      }
      await runtime.models.unloadModel('odd')
    },
  )

  it('that cannot be loaded is remembered with its cause until ten other loads have failed', async () => {
    const known = runtime.models.listModels().length
    const missing = join(repository.dir, 'missing.onnx')
    for (let index = 0; index < 50; index += 1) {
      const name = index % 2 === 0 ? `new-${index}` : 'shift'
      await codeOf(runtime.models.loadModel({ name, version: `failed-${index}`, source: missing }))
      const swap = { name: 'shift', newVersion: `swap-${index}`, source: missing }
      await codeOf(runtime.models.hotSwapModel(swap))
    }
    expect(runtime.models.listModels()).toHaveLength(known + 10)
    expect(runtime.models.getModel('shift', 'swap-49')?.state).toBe('error')
    expect(runtime.models.getModel('new-0', 'failed-0')).toBeUndefined()
    expect(await codeOf(runtime.predict('new-0', { x: 1 }))).toBe('ERR_MODEL_NOT_FOUND')
    await stillServes()
  })

  it('that is a folder is refused', async () => {
    const error = await errorOf(
      runtime.models.loadModel({ name: 'folder', version: '1', source: repository.dir }),
    )
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'folder' })
    await stillServes()
  })

  it('that was damaged can be repaired and loaded again under the same label', async () => {
    const broken = tempRepository({ m: { '1': graphs.mlp().subarray(0, 100) } })
    const source = broken.path('m', '1')
    expect(await codeOf(runtime.models.loadModel({ name: 'm', version: '1', source }))).toBe('ERR_MODEL_LOAD')
    broken.write('m', '1', graphs.constantAnswer(7))
    await runtime.models.loadModel({ name: 'm', version: '1', source })
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(8)
    await runtime.models.unloadModel('m')
    broken.dispose()
  })
})

describe('a version', () => {
  it('that already exists is refused and keeps serving', async () => {
    const again = runtime.models.loadModel({
      name: 'shift',
      version: '1',
      source: repository.path('shift', '2'),
    })
    expect(await errorOf(again)).toMatchObject({ code: 'ERR_VERSION_EXISTS', model: 'shift', version: '1' })
    await stillServes()
  })

  it('is loaded once by two concurrent loads', async () => {
    const options = { name: 'twice', version: '1', source: repository.path('shift', '1') }
    const outcomes = await Promise.allSettled([
      runtime.models.loadModel(options),
      runtime.models.loadModel(options),
    ])
    expect(outcomes.map((one) => one.status)).toEqual(['fulfilled', 'rejected'])
    expect(outcomes[1]).toMatchObject({ reason: { code: 'ERR_VERSION_EXISTS' } })
    await runtime.models.unloadModel('twice')
  })

  it('without a source or a model directory is refused', async () => {
    const error = await errorOf(runtime.models.loadModel({ name: 'x', version: '1' }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
    expect(error.message).toMatch(/source.*modelDir/)
  })

  it.each([
    ['shift', '9', 'ERR_VERSION_NOT_FOUND', /"9".*known: 1/],
    ['shift ', '1', 'ERR_MODEL_NOT_FOUND', /"shift ".*known: .*shift/],
    ['', '1', 'ERR_MODEL_NOT_FOUND', /""/],
  ])(
    '%j@%s is refused as unknown, and the error lists the known names',
    async (name, version, code, message) => {
      const error = await errorOf(runtime.predict(name, { x: 1 }, { version }))
      expect(error).toMatchObject({ code, model: name })
      expect(error.message).toMatch(message)
    },
  )

  it.each([
    ['unloadModel', () => runtime.models.unloadModel('nobody')],
    ['hotSwapModel', () => runtime.models.hotSwapModel({ name: 'nobody', newVersion: '1' })],
    ['rollback', () => runtime.models.rollback('nobody')],
  ])('of an unknown model is refused by %s', async (_, call) => {
    expect(await errorOf(call())).toMatchObject({ code: 'ERR_MODEL_NOT_FOUND', model: 'nobody' })
  })

  it('that is unknown cannot be unloaded', async () => {
    const error = await errorOf(runtime.models.unloadModel('shift', '9'))
    expect(error).toMatchObject({ code: 'ERR_VERSION_NOT_FOUND', model: 'shift', version: '9' })
    await stillServes()
  })
})

describe('an input', () => {
  const refused: [what: string, model: string, input: unknown, message: RegExp][] = [
    ['of another class', 'shift', { x: Float64Array.of(1) }, /"x" expects float32\[1\], got Float64Array/],
    ['of another dtype', 'shift', { x: { type: 'int32', dims: [1], data: Int32Array.of(1) } }, /int32/],
    [
      'with too many dims',
      'shift',
      { x: { type: 'float32', dims: [1, 1], data: Float32Array.of(1) } },
      /\[1, 1\]/,
    ],
    [
      'with another fixed dim',
      'mlp',
      { x: { type: 'float32', dims: [1, 3], data: new Float32Array(3) } },
      /\[1, 3\]/,
    ],
    ['with too few elements', 'mlp', { x: new Float32Array(3) }, /multiple of 4/],
    [
      'whose dims do not fit its elements',
      'sum',
      { a: { type: 'float32', dims: [3], data: new Float32Array(2) }, b: [1] },
      /3 elements/,
    ],
    ['that is missing', 'sum', { a: [1] }, /missing input "b"/],
    ['that is unknown', 'shift', { x: 1, z: 1 }, /unknown input "z"/],
    ['with a misspelt name', 'sum', { a: [1], B: [1] }, /did you mean "b"/],
    ['of text for a number', 'shift', { x: 'one' }, /string "one"/],
    ['of NaN for an integer', 'ids', { x: [1, Number.NaN] }, /NaN/],
    ['of a fraction for an integer', 'ids', { x: [1, 1.5] }, /1\.5/],
    ['beyond the range of its integer', 'ids', { x: [1n, 2n ** 64n] }, /18446744073709551616/],
    ['of a number for a boolean', 'flag', { x: [2] }, /2/],
    ['of a number for text', 'text', { x: [1] }, /number 1/],
    ['with a NUL in its text', 'text', { x: ['a\0b'] }, /NUL/],
    ['that is ragged', 'mlp', { x: [[1, 2, 3, 4], [1]] }, /"x"/],
    ['that is undefined', 'shift', { x: undefined }, /undefined/],
    ['that is a promise', 'shift', { x: Promise.resolve(1) }, /await/],
    ['that is null as a whole', 'shift', null, /null/],
    ['that is a bare array', 'shift', [1], /must be an object/],
    [
      'that is a tensor without its name',
      'shift',
      { type: 'float32', dims: [1], data: Float32Array.of(1) },
      /must be an object/,
    ],
  ]

  it.each(refused)('%s is refused before it is sent', async (_, model, input, message) => {
    const before = runtime.models.getModel(model)?.stats()
    const error = await errorOf(runtime.predict(model, input as never))
    expect(error).toMatchObject({ code: 'ERR_INVALID_INPUT', model, version: '1', retryable: false })
    expect(error.message).toMatch(message)
    const after = runtime.models.getModel(model)?.stats()
    expect(after?.errors).toBe((before?.errors ?? 0) + 1)
    expect(after).toMatchObject({ inFlight: 0, queued: 0 })
    await stillServes()
  })

  it('that only the model can reject is a failed run', async () => {
    const error = await errorOf(runtime.predict('four', { x: [1, 2, 3] }))
    expect(error).toMatchObject({ code: 'ERR_INFERENCE', model: 'four', version: '1' })
    expect(error.message).toMatch(/reshape/i)
    expect(yOf(await runtime.predict('four', { x: [5, 2, 3, 4] }))).toBe(5)
  })

  it('that fails does not affect other requests', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => runtime.predict('four', { x: i % 5 === 0 ? [1] : [i, 0, 0, 0] })),
    )
    expect(outcomes.map((one) => (one.status === 'fulfilled' ? yOf(one.value) : one.reason.code))).toEqual(
      Array.from({ length: 50 }, (_, i) => (i % 5 === 0 ? 'ERR_INFERENCE' : i)),
    )
  })
})

describe('an option', () => {
  it.each([
    [{ timeout: 5 }, /no option `timeout`/],
    [{ timeoutMs: -1 }, /`timeoutMs` is -1/],
    [{ outputs: [] }, /`outputs`/],
    [{ outputs: ['z'] }, /`outputs` names "z"; shift@1 has y/],
    [{ signal: 'stop' }, /`signal` is "stop"/],
    [null, /null/],
  ])('of predict %o is refused', async (options, message) => {
    const error = await errorOf(runtime.predict('shift', { x: 1 }, options as never))
    expect(error.code).toBe('ERR_INVALID_OPTIONS')
    expect(error.message).toMatch(message)
    await stillServes()
  })

  it.each([
    [{ replica: 2 }, /no option `replica`/],
    [{ modelDir: '/no/such/folder' }, /modelDir.*no\/such\/folder/],
    [{ models: [{ name: 'a/b', version: '1', source: 'x' }] }, /`models\.0\.name`/],
  ])('of createRuntime %o is refused', async (options, message) => {
    const error = await errorOf(quietRuntime(options as never))
    expect(error.code).toBe('ERR_INVALID_OPTIONS')
    expect(error.message).toMatch(message)
  })

  it.each([
    [{ name: 'm', version: '1', source: 'https://example.org/m.onnx' }, /MODEL_LOAD|INVALID_OPTIONS/],
    [{ name: 'm', version: '1', source: new URL('https://example.org/m.onnx') }, /INVALID_OPTIONS/],
    [{ name: '../m', version: '1', source: 'm.onnx' }, /INVALID_OPTIONS/],
    [{ name: 'm', version: '1', modelType: 'torch', source: 'm.pt' }, /INVALID_OPTIONS/],
    [{ name: 'm', version: '1', promoted: true, source: 'm.onnx' }, /INVALID_OPTIONS/],
  ])('of loadModel %o is refused', async (options, code) => {
    expect(await codeOf(runtime.models.loadModel(options as never))).toMatch(code)
    await stillServes()
  })

  it('in sessionOptions that onnxruntime refuses fails the load with the reason', async () => {
    const error = await errorOf(
      runtime.models.loadModel({
        name: 'optioned',
        version: '1',
        source: repository.path('shift', '1'),
        config: { sessionOptions: { graphOptimizationLevel: 'most' } },
      }),
    )
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'optioned' })
    await stillServes()
  })

  it('that cannot be sent to a thread fails the load', async () => {
    const error = await errorOf(
      runtime.models.loadModel({
        name: 'unsendable',
        version: '1',
        source: repository.path('shift', '1'),
        config: { loaderOptions: { callback: () => 1 } },
      }),
    )
    expect(error.code).toMatch(/ERR_INVALID_OPTIONS|ERR_MODEL_LOAD/)
    await stillServes()
  })
})

describe('a warm-up sample', () => {
  const source = (): string => repository.path('shift', '2')

  it('with the expected outputs lets the version serve', async () => {
    const config = { sample: { input: { x: 1 }, output: { y: [3] } } }
    await runtime.models.loadModel({ name: 'sampled', version: '1', source: source(), config })
    expect(yOf(await runtime.predict('sampled', { x: 1 }))).toBe(3)
    await runtime.models.unloadModel('sampled')
  })

  it.each([
    [
      'with other outputs than expected',
      { input: { x: 1 }, output: { y: [4] } },
      /to the sample: output "y" is 3 at 0, expected 4/,
    ],
    ['that does not fit the signature', { input: { z: 1 } }, /sample\.input/],
    ['with an unknown output', { input: { x: 1 }, output: { z: [4] } }, /sample\.output/],
  ])('%s keeps the version from serving', async (_, sample, message) => {
    const error = await errorOf(
      runtime.models.loadModel({ name: 'sampled', version: '1', source: source(), config: { sample } }),
    )
    expect(error).toMatchObject({ code: 'ERR_WARMUP', model: 'sampled', version: '1' })
    expect(error.message).toMatch(message)
    await runtime.models.unloadModel('sampled')
    await stillServes()
  })
})

describe('a swap to a version with another signature', () => {
  it('is refused with the differences, and the active version keeps serving', async () => {
    await runtime.models.loadModel({ name: 'vad', version: '5', source: modelPath('vad', '5') })
    const swap = runtime.models.hotSwapModel({ name: 'vad', newVersion: '4', source: modelPath('vad', '4') })
    const error = await errorOf(swap)
    expect(error).toMatchObject({ code: 'ERR_SIGNATURE_MISMATCH', model: 'vad', version: '4' })
    expect(error.message).toMatch(/"state" is missing.*"h".*is new/)
    expect(runtime.models.getModel('vad')?.version).toBe('5')
    const input = { input: new Float32Array(576), state: new Float32Array(256), sr: 16000n }
    const { output } = await runtime.predict('vad', input)
    expect(output?.dims).toEqual([1, 1])
    await runtime.models.unloadModel('vad')
  })
})

describe('a closed runtime', () => {
  it('refuses all operations', async () => {
    const closed = await quietRuntime()
    await closed.models.loadModel({ name: 'shift', version: '1', source: repository.path('shift', '1') })
    await closed.close()
    const source = repository.path('shift', '2')
    for (const call of [
      () => closed.predict('shift', { x: 1 }),
      () => closed.models.predict('shift', { x: 1 }),
      () => closed.models.loadModel({ name: 'shift', version: '2', source }),
      () => closed.models.hotSwapModel({ name: 'shift', newVersion: '2', source }),
      () => closed.models.rollback('shift'),
      () => closed.models.cleanupUnusedModels({ maxAgeMs: 0 }),
    ]) {
      expect(await codeOf(call())).toBe('ERR_RUNTIME_CLOSED')
    }
    expect(closed.state).toBe('stopped')
  })
})
