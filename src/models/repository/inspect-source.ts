import { type BigIntStats, constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { errors } from '../../errors/errors.js'
import { BEGINNING_BYTES, foreignFormat } from '../../protocol/foreign-files.js'
import { stampFrom } from '../../protocol/model-files.js'
import { verifyHash } from './repository.js'

/** The source of a version that is about to be loaded. */
export interface SourceOrder {
  readonly model: string
  readonly version: string
  readonly source: string
  /** Hash of its content; undefined if any content will do. */
  readonly sha256: string | undefined
  /** True if the loader of ONNX files is to read it. */
  readonly isOnnx: boolean
  /** Stamp of the file whose content is known; undefined if none is. */
  readonly knownStamp: string | undefined
}

export interface SourceFacts {
  readonly stamp: string
  readonly isFile: boolean
}

/**
 * Looks at the source of a version before anything is started for it: a file that is missing, damaged or no
 * model needs no thread.
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
    if (!stats.isFile()) throw refuse('it is no file, and version.json has the sha256 of one')
    await verifyHash(source, sha256, subject)
  }
  return { stamp, isFile: stats.isFile() }
}

/** Returns why the built-in loader cannot load a file, as far as its beginning tells. */
async function formatProblem(source: string, stats: BigIntStats): Promise<string | undefined> {
  if (stats.isDirectory()) return 'it is a folder; give the path of the model file in it'
  // Reading from a pipe or a device may never end.
  if (!stats.isFile()) return 'it is no regular file'
  // Nor does opening one wait for a writer, should it have taken the file's place.
  const file = await open(source, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BEGINNING_BYTES), 0, BEGINNING_BYTES, 0)
    return foreignFormat(buffer.subarray(0, bytesRead))
  } finally {
    await file.close()
  }
}
