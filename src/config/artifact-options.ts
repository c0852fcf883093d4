import { z } from 'zod'
import { durationMs } from './number-schemas.js'

const bytes = z.number().int().min(0)

export const artifactOptionsSchema = z.strictObject({
  minBytes: bytes.default(2 ** 20).describe('models with fewer bytes than that are served as they are'),
  maxBytes: bytes
    .default(8 * 2 ** 30)
    .describe('size of the cache; what was not used for longest is removed, unless it is mapped'),
  timeoutMs: durationMs
    .default(300_000)
    .describe('how long building and proving one form may take; 0 is never'),
  maxBuilderBytes: bytes
    .min(2 ** 28)
    .optional()
    .meta({ type: 'bytes' })
    .describe(
      'memory that the process that builds may take; by default 1 GiB and six times the size of the model',
    ),
})

export const artifacts = z.union([z.enum(['auto', 'off']), artifactOptionsSchema])
export const probe = z.enum(['child', 'off'])

export type ArtifactOptions = z.output<typeof artifactOptionsSchema>
