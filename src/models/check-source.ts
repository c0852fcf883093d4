import { type BigIntStats, constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { errors } from '../errors.js'
import { BEGINNING_BYTES, foreignFormat } from '../protocol/foreign-files.js'
import { changedFile, type ModelFile, stampFrom } from '../protocol/model-files.js'
import type { ModelVersion } from './model-version.js'
import { otherHash, verifyHash } from './repository.js'
import type { Serving } from './serving.js'

/** Whether a version is read by the loader of ONNX files. */
export function hasBuiltInLoader({ loaders }: Serving, { spec }: ModelVersion): boolean {
  return loaders.has(spec.modelType) && loaders.get(spec.modelType) === undefined
}

/**
 * Looks at the source of a version before anything is started for it: a file that is missing, damaged or no
 * model needs no thread.
 * @throws ERR_MODEL_LOAD
 */
export async function checkSource(serving: Serving, version: ModelVersion): Promise<void> {
  const { subject } = version
  const { source, sha256 } = version.spec
  const refuse = (why: string, cause?: unknown): Error =>
    new errors.ERR_MODEL_LOAD(`${source} cannot be loaded: ${why}`, { ...subject, cause })
  const stats = await stat(source, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
    throw refuse(cause.code === 'ENOENT' ? 'there is no such file' : cause.message, cause)
  })
  const isBuiltIn = hasBuiltInLoader(serving, version)
  const why = isBuiltIn
    ? await whyNoModel(source, stats).catch((cause: Error) => {
        throw refuse(cause.message, cause)
      })
    : undefined
  if (why !== undefined) throw refuse(why)
  const stamp = stampFrom(stats)
  if (sha256 !== undefined && version.files?.[0]?.stamp !== stamp) {
    if (!stats.isFile()) throw refuse('it is no file, and version.json has the sha256 of one')
    await verifyHash(source, sha256, subject)
  }
  // What another loader reads beside its source is not known, nor what it finds in a folder.
  if (!isBuiltIn) version.files ??= stats.isFile() ? [{ name: '', stamp, sha256 }] : []
}

/** Why the built-in loader cannot load a file, as far as its beginning tells. */
async function whyNoModel(source: string, stats: BigIntStats): Promise<string | undefined> {
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

/** @throws ERR_MODEL_LOAD if `files` hold something else than the version is to answer from. */
export function checkContent(version: ModelVersion, files: readonly ModelFile[]): void {
  const { source, sha256 } = version.spec
  const [own] = files
  if (sha256 !== undefined && own?.sha256 !== undefined && own.sha256 !== sha256) {
    throw otherHash(source, own.sha256, sha256, version.subject)
  }
  const isSame = (file: ModelFile, index: number): boolean =>
    files[index]?.name === file.name && files[index]?.sha256 === file.sha256
  const changed = version.files?.find((file, index) => file.sha256 !== undefined && !isSame(file, index))
  if (changed === undefined) return
  const path = changed.name === '' ? source : resolve(dirname(source), changed.name)
  throw changedFile(path, version.subject)
}
