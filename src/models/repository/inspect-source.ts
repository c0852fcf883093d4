import { type BigIntStats, constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { errors } from '../../errors/errors.js'
import { BEGINNING_BYTES, foreignFormat } from '../../protocol/foreign-files.js'
import { stampFrom } from '../../protocol/model-files.js'
import { verifyHash } from './repository.js'

/** The source of a version, for the check before its load. */
export interface SourceOrder {
  readonly model: string
  readonly version: string
  readonly source: string
  /** Expected SHA-256 of its content; undefined accepts any content. */
  readonly sha256: string | undefined
  /** True if the built-in loader of ONNX files loads it. */
  readonly isOnnx: boolean
  /** Stamp of the file when its content was last checked; undefined if it never was. */
  readonly knownStamp: string | undefined
}

/** The result of the check. */
export interface SourceFacts {
  readonly stamp: string
  readonly isFile: boolean
}

/**
 * Checks the source of a version before anything is started for it, since a file that is missing, damaged or not a
 * model needs no thread. Resolves with its stamp.
 * @throws ERR_MODEL_LOAD
 */
export async function inspectSource(order: SourceOrder): Promise<SourceFacts> {
  const { model, version, source, sha256, isOnnx, knownStamp } = order
  const subject = { model, version }
  const refuse = (problem: string, cause?: unknown): Error =>
    new errors.ERR_MODEL_LOAD(`${source} cannot be loaded: ${problem}`, { ...subject, cause })
  const stats = await stat(source, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
    throw refuse(cause.code === 'ENOENT' ? 'there is no such file' : cause.message, cause)
  })
  const problem = isOnnx
    ? await formatProblem(source, stats).catch((cause: Error) => {
        throw refuse(cause.message, cause)
      })
    : undefined
  if (problem !== undefined) throw refuse(problem)
  const stamp = stampFrom(stats)
  if (sha256 !== undefined && knownStamp !== stamp) {
    if (!stats.isFile()) throw refuse('it is not a file, but version.json has the sha256 of one')
    await verifyHash(source, sha256, subject)
  }
  return { stamp, isFile: stats.isFile() }
}

/** Resolves with the reason why the built-in loader cannot load a file, as far as its first bytes show. */
async function formatProblem(source: string, stats: BigIntStats): Promise<string | undefined> {
  if (stats.isDirectory()) return 'it is a folder; pass the path of the model file in it'
  // A read from a pipe or a device may never end.
  if (!stats.isFile()) return 'it is not a regular file'
  // If a pipe has taken the place of the file since, opening it without O_NONBLOCK would wait for a writer.
  const file = await open(source, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BEGINNING_BYTES), 0, BEGINNING_BYTES, 0)
    return foreignFormat(buffer.subarray(0, bytesRead))
  } finally {
    await file.close()
  }
}
