import { describe, expect, it } from 'vitest'
import { parseOptions } from '../../../../src/config/parse-options.js'
import {
  type ModelConfig,
  modelConfigSchema,
  type RuntimeConfigInput,
  runtimeSchema,
} from '../../../../src/config/runtime-options.js'
import type { ModelContext } from '../../../../src/models/context/model-context.js'
import { VersionRecord } from '../../../../src/models/context/version-record.js'
import { replicaCount } from '../../../../src/models/loading/replica-count.js'

/** Returns the replica count of a version with `model` in a runtime with `options` on `cores` cores. */
function countOf(cores: number, options: RuntimeConfigInput, model: Partial<ModelConfig> = {}): number {
  const context = { cores, config: parseOptions(runtimeSchema, options, 'x') } as unknown as ModelContext
  const config = parseOptions(modelConfigSchema, model, 'x')
  const spec = { name: 'm', version: '1', modelType: 'onnx', source: '/m.onnx', sha256: undefined, config }
  return replicaCount(context, new VersionRecord(spec))
}

describe('the replica count of a pool', () => {
  it.each([
    [8, {}, {}, 8],
    [8, { intraOpNumThreads: 2 }, {}, 4],
    [8, { intraOpNumThreads: 3 }, {}, 2],
    [8, { intraOpNumThreads: 16 }, {}, 1],
    [8, { intraOpNumThreads: 2 }, { intraOpNumThreads: 4 }, 2],
    [8, { intraOpNumThreads: 2 }, { sessionOptions: { intraOpNumThreads: 8 } }, 1],
    // onnxruntime interprets 0 as all cores.
    [8, {}, { sessionOptions: { intraOpNumThreads: 0 } }, 1],
    [1, {}, {}, 1],
    [8, {}, { executionProviders: ['cpu'] }, 8],
    [8, {}, { executionProviders: ['webgpu'] }, 1],
    [8, {}, { executionProviders: [{ name: 'cuda', deviceId: 1 }, 'cpu'] }, 1],
    [8, {}, { executionProviders: ['cpu', 'coreml'] }, 1],
    [8, {}, { sessionOptions: { executionProviders: ['dml'] } }, 1],
  ])('on %i cores with %j and %j is %4$i', (cores, options, model, count) => {
    expect(countOf(cores, options, model)).toBe(count)
  })

  it('is the configured one, whatever the number of cores', () => {
    expect(countOf(2, { replicas: 5, intraOpNumThreads: 4 })).toBe(5)
    expect(countOf(2, { replicas: 5 }, { replicas: 3 })).toBe(3)
    expect(countOf(2, { replicas: 5 }, { replicas: 'auto' })).toBe(2)
  })
})
