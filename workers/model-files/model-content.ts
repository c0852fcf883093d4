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
 * Reads what the files of a model hold, before the model is loaded for the first time.
 * @throws ERR_MODEL_LOAD if one is no file of weights.
 */
export function identify(source: string, owner?: FileOwner): ModelFile[] {
  const names = dataNamesIn(source)
  const files: ModelFile[] = []
  for (const [index, path] of [source, ...pathsIn(source, names)].entries()) {
    if (index > 0) assertWeights(source, path, owner)
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    // onnxruntime says better what is wrong with one that is missing.
    if (stats?.isFile()) {
      files.push({ name: names[index - 1] ?? '', stamp: stampFrom(stats), sha256: hashOf(path) })
    }
  }
  return files
}

/**
 * Returns `files` with the stamps that they have now.
 * @throws ERR_MODEL_LOAD if one of them holds something else than it did. The content is read only if the
 * stamp is another one; a file whose content was never read counts as changed then.
 */
export function checkFiles(source: string, files: readonly ModelFile[], owner: FileOwner): ModelFile[] {
  const data = files.filter(({ name }) => name !== '')
  const paths = pathsIn(
    source,
    data.map(({ name }) => name),
  )
  return files.map((file) => checkFile(paths[data.indexOf(file)] ?? source, file, owner))
}

/** Returns `files` without the stamps that a change from now on may leave as they are. */
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
