import { errors, messageOf } from '../../src/errors/errors.js'
import { asRuntimeError } from '../../src/protocol/error-codec.js'
import type { LoadedModel, LoaderContext, LoadModel } from '../../src/protocol/loader.js'
import type { FileOwner, ModelFile } from '../../src/protocol/model-files.js'
import type { LoadTask } from '../../src/protocol/replica/replica-task.js'
import { checkFiles, identify, settledFiles } from '../model-files/model-content.js'

/** The content of a source's files; undefined if the files that its loader reads are unknown. */
export type Files = readonly ModelFile[] | undefined

/** The part of a loader's context that comes from the replica. */
export type ReplicaContext = Pick<LoaderContext, 'model' | 'version' | 'native' | 'log'>

/** Codes of import errors that a Node option, such as `--import` or `--conditions`, may fix. */
const OPTION_CODES = [
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
  'ERR_PACKAGE_PATH_NOT_EXPORTED',
]
const OPTION_ADVICE =
  'replicas run without the Node options of this process; pass those that the module needs in `replicaExecArgv`'

/**
 * Returns the `load` function of a loader's module; of the built-in one if `url` is undefined.
 * @throws ERR_MODEL_LOAD if the module cannot be imported or exports no such function
 */
export async function importLoader(url: string | undefined, owner: FileOwner): Promise<LoadModel> {
  if (url === undefined) return (await import('../onnx/onnx-loader.js')).load
  let module: { load?: unknown }
  try {
    module = (await import(url)) as { load?: unknown }
  } catch (error) {
    const advice = OPTION_CODES.includes((error as NodeJS.ErrnoException).code ?? '')
      ? ` (${OPTION_ADVICE})`
      : ''
    throw asRuntimeError(
      'ERR_MODEL_LOAD',
      `the loader module ${url} cannot be imported${advice}`,
      error,
      owner,
    )
  }
  if (typeof module.load !== 'function') {
    throw new errors.ERR_MODEL_LOAD(
      `the loader module ${url} exports no function named "load"; export one that takes a LoaderContext`,
      owner,
    )
  }
  return module.load as LoadModel
}

/**
 * Loads the artifact, or the original if there is none or it cannot be loaded. Resolves with the model, and
 * with the content of the original's files.
 */
export async function loadBest(
  load: LoadModel,
  task: LoadTask,
  replica: ReplicaContext,
): Promise<[LoadedModel, Files]> {
  const { artifact, loader, source, sessionOptions, loaderOptions } = task
  const owner = ownerOf(replica)
  const context: LoaderContext = { ...replica, source, sessionOptions, loaderOptions }
  if (artifact !== undefined) {
    try {
      const from = { ...context, source: artifact.source, sessionOptions: artifact.sessionOptions }
      const [model] = await loadFrom(load, from, artifact.files, owner)
      return [model, task.files]
    } catch (error) {
      replica.log('warn', 'artifact could not be loaded; original loaded instead', {
        reason: messageOf(error),
      })
    }
  }
  const files = task.files ?? (loader === undefined ? identify(source, owner) : undefined)
  return loadFrom(load, context, files, owner)
}

/** Checks that files have the expected content, if that is known. @throws ERR_MODEL_LOAD if they changed */
export function checkContent(source: string, files: Files, owner: FileOwner): Files {
  return files === undefined ? undefined : checkFiles(source, files, owner)
}

/** Loads a model from files, and checks before and after that the files have the expected content. */
async function loadFrom(
  load: LoadModel,
  context: LoaderContext,
  expected: Files,
  owner: FileOwner,
): Promise<[LoadedModel, Files]> {
  const before = checkContent(context.source, expected, owner)
  const model = await load(context)
  const after = checkContent(context.source, before, owner)
  return [model, after === undefined ? undefined : settledFiles(after)]
}

function ownerOf({ model, version }: ReplicaContext): FileOwner {
  return { model, version }
}
