import { z } from 'zod'
import { durationMs } from './number-schemas.js'

const bytes = z.number().int().min(0)

export const artifactOptionsSchema = z.strictObject({
  minBytes: bytes.default(2 ** 20).describe('models with fewer bytes are served in their original form'),
  maxBytes: bytes
    .default(8 * 2 ** 30)
    .describe('size limit of the cache; least recently used artifacts are removed, unless they are mapped'),
  timeoutMs: durationMs
    .default(300_000)
    .describe('time limit for building and proving one form; 0 disables it'),
  maxBuilderBytes: bytes
    .min(2 ** 28)
    .optional()
    .meta({ type: 'bytes' })
    .describe('memory limit of the builder process; defaults to 1 GiB plus six times the size of the model'),
})

export const artifacts = z.union([z.enum(['auto', 'off']), artifactOptionsSchema])
export const probe = z.enum(['child', 'off'])

export type ArtifactOptions = z.output<typeof artifactOptionsSchema>
