import { statSync } from 'node:fs'
import { messageOf } from '../../src/errors/errors.js'
import {
  changedFile,
  type FileOwner,
  isSettled,
  type ModelFile,
  stampFrom,
} from '../../src/protocol/model-files.js'
import { assertWeights } from '../files/load-failure.js'
import { hashOf } from './file-hash.js'
import { dataNamesIn, pathsIn } from './model-paths.js'

/**
 * Hashes the files of a model before it is loaded for the first time.
 * @throws ERR_MODEL_LOAD if one of its data files does not hold weights.
 */
export function identify(source: string, owner?: FileOwner): ModelFile[] {
  const names = dataNamesIn(source)
  const files: ModelFile[] = []
  for (const [index, path] of [source, ...pathsIn(source, names)].entries()) {
    if (index > 0) assertWeights(source, path, owner)
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    // onnxruntime reports a missing file better.
    if (stats?.isFile()) {
      files.push({ name: names[index - 1] ?? '', stamp: stampFrom(stats), sha256: hashOf(path) })
    }
  }
  return files
}

/**
 * Returns `files` with their present stamps. The content of a file is read only if its stamp has changed; a
 * file whose content was never read then counts as changed.
 * @throws ERR_MODEL_LOAD if the content of a file has changed.
 */
export function checkFiles(source: string, files: readonly ModelFile[], owner: FileOwner): ModelFile[] {
  const data = files.filter(({ name }) => name !== '')
  const paths = pathsIn(
    source,
    data.map(({ name }) => name),
  )
  return files.map((file) => checkFile(paths[data.indexOf(file)] ?? source, file, owner))
}

/** Returns `files` without the stamps that are so recent that a further change could leave them the same. */
export function settledFiles(files: readonly ModelFile[]): ModelFile[] {
  return files.map((file) =>
    file.sha256 === undefined || isSettled(file.stamp, Date.now()) ? file : { ...file, stamp: '' },
  )
}

function checkFile(path: string, file: ModelFile, owner: FileOwner): ModelFile {
  let stamp: string
  let isSame: boolean
  try {
    stamp = stampFrom(statSync(path, { bigint: true }))
    isSame = stamp === file.stamp || (file.sha256 !== undefined && hashOf(path) === file.sha256)
  } catch (cause) {
    throw changedFile(path, owner, `cannot be read any more (${messageOf(cause)})`, cause)
  }
  if (!isSame) throw changedFile(path, owner)
  return { ...file, stamp }
}
