import { dirname, resolve } from 'node:path'
import { changedFile, type ModelFile } from '../../protocol/model-files.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import { otherHash } from '../repository/repository.js'

/** Returns true if the built-in loader of ONNX files loads the version. */
export function hasBuiltInLoader({ loaders }: ModelContext, { spec }: VersionRecord): boolean {
  return loaders.has(spec.modelType) && loaders.get(spec.modelType) === undefined
}

/** Checks the source of a version, and records its stamp if none is known. @throws ERR_MODEL_LOAD */
export async function checkSource(context: ModelContext, version: VersionRecord): Promise<void> {
  const { source, sha256 } = version.spec
  const isOnnx = hasBuiltInLoader(context, version)
  const knownStamp = version.facts.files?.[0]?.stamp
  const { stamp, isFile } = await context.inspectSource({
    ...version.subject,
    source,
    sha256,
    isOnnx,
    knownStamp,
  })
  // A custom loader may read more than the source, and any part of a folder, so its content cannot be pinned.
  if (isOnnx || version.facts.files !== undefined) return
  version.note({ files: isFile ? [{ name: '', stamp, sha256 }] : [] })
}

/** Throws if the content of `files` is not the one that belongs to the version. @throws ERR_MODEL_LOAD */
export function checkContent(version: VersionRecord, files: readonly ModelFile[]): void {
  const { source, sha256 } = version.spec
  const [mainFile] = files
  if (sha256 !== undefined && mainFile?.sha256 !== undefined && mainFile.sha256 !== sha256) {
    throw otherHash(source, mainFile.sha256, sha256, version.subject)
  }
  const isSame = (file: ModelFile, index: number): boolean =>
    files[index]?.name === file.name && files[index]?.sha256 === file.sha256
  const changed = version.facts.files?.find(
    (file, index) => file.sha256 !== undefined && !isSame(file, index),
  )
  if (changed === undefined) return
  const path = changed.name === '' ? source : resolve(dirname(source), changed.name)
  throw changedFile(path, version.subject)
}
