import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { isFlushRefused } from '../../src/platform/is-flush-refused.js'
import { artifactOptions } from '../../src/protocol/artifact-options.js'
import {
  ARTIFACT_MODEL,
  ARTIFACT_WEIGHTS,
  type ArtifactForm,
  type BuildDone,
  type BuilderSubject,
  type BuildOrder,
  type RejectedForm,
} from '../../src/protocol/builder/builder-messages.js'
import type { LoadedModel } from '../../src/protocol/loader.js'
import { EXACT, firstDifference } from '../../src/tensors/batch/difference.js'
import { byName } from '../../src/tensors/by-name.js'
import type { Signature, Tensor } from '../../src/tensors/tensor.js'
import { flush, hashOf } from '../model-files/file-hash.js'
import { load } from '../onnx/onnx-loader.js'

/** Size below which weights stay in the model's file. */
const LEAST_EXTERNAL_BYTES = 1024

const MAX_REASON_LENGTH = 500
/** Errors of a machine without free space or memory, or without the permission to use it. */
const PASSING =
  /ENOSPC|EDQUOT|EFBIG|EROFS|EIO\b|EMFILE|ENFILE|ENOMEM|EACCES|EPERM|ERR_ACCESS_DENIED|no space left|quota|file too large|too many open files|read-only file system|input\/output error|permission denied|cannot allocate|bad_alloc|out of memory|failed to write/i
/** Free disk space below which a write may have failed for lack of space. */
const SPARE_DISK_BYTES = 16 * 2 ** 20

/** Receives the progress of a build; the process may crash after each message. */
export interface BuildListener {
  step(step: string): Promise<void>
  rejected(rejected: RejectedForm): Promise<void>
}

/** Builds the artifact of a model in the first form whose outputs equal those of the original. */
export async function buildArtifact(order: BuildOrder, listener: BuildListener): Promise<BuildDone> {
  await listener.step('original')
  const { signature, answers, again } = await whileLoaded(order, async (model) => ({
    signature: model.signature,
    answers: await answersOf(model, order.samples),
    again: await answersOf(model, order.samples),
  }))
  const rejected: RejectedForm[] = []
  const instability = differenceOf(signature, answers, again, EXACT)
  for (const form of order.forms) {
    const folder = join(order.folder, form)
    await listener.step(form)
    try {
      if (instability !== undefined) throw new Error(`the model is not deterministic: ${instability}`)
      // Remains of a builder that was killed.
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(folder)
      await writeForm(order, form, folder)
      await prove(order, folder, answers)
      return { ok: true, form, ...seal(folder), rejected }
    } catch (error) {
      const obstacle = obstacleTo(folder, error)
      // A plain error, since an obstacle says nothing about the model, whatever onnxruntime's message is.
      if (obstacle !== undefined) throw new Error(obstacle, { cause: error })
      rmSync(folder, { recursive: true, force: true })
      const reason = reasonOf(error, order.folder)
      rejected.push({ form, reason })
      await listener.rejected({ form, reason })
    }
  }
  return { ok: true, form: undefined, files: [], isFlushed: true, rejected }
}

/** Returns the reason why no form can be written or loaded at present; undefined if the form itself is at fault. */
function obstacleTo(folder: string, error: unknown): string | undefined {
  const text = String(error instanceof Error ? error.message : error)
  if (PASSING.test(text)) return text
  try {
    tryToWrite(folder)
    return undefined
  } catch (cause) {
    // onnxruntime does not report every failed write; its files are then cut short.
    return `the cache folder is not writable any more: ${String(cause)}`
  }
}

/** Writes a file as large as those in the folder. @throws Error if the disk, a quota or a limit has no room for it */
function tryToWrite(folder: string): void {
  mkdirSync(folder, { recursive: true })
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size)
  const path = join(folder, 'room')
  const file = openSync(path, 'w')
  try {
    // The limit on the size of files applies without writing as much.
    ftruncateSync(file, Math.max(0, ...sizes) + SPARE_DISK_BYTES)
    ftruncateSync(file, 0)
    const chunk = Buffer.alloc(SPARE_DISK_BYTES)
    for (let done = 0; done < chunk.length; ) done += writeSync(file, chunk, done)
    fsyncSync(file)
  } catch (error) {
    if (!isFlushRefused(error)) throw error
  } finally {
    closeSync(file)
    rmSync(path, { force: true })
  }
}

/** Returns the message without the folder, which is gone later. */
function reasonOf(error: unknown, folder: string): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replaceAll(`${folder}/`, '').slice(0, MAX_REASON_LENGTH)
}

/** Loads a model like a replica, calls `use` with it, and releases it afterwards. */
export async function whileLoaded<T>(
  subject: BuilderSubject,
  use: (model: LoadedModel) => T | Promise<T>,
): Promise<T> {
  const model = await load({
    ...subject,
    loaderOptions: undefined,
    native: async (call) => call(),
    log: () => undefined,
  })
  try {
    return await use(model)
  } finally {
    await model.release?.()
  }
}

/**
 * Writes a form of the artifact: onnxruntime writes the optimised model while it creates a session. Option
 * names: onnxruntime_session_options_config_keys.h.
 */
async function writeForm(order: BuildOrder, form: ArtifactForm, folder: string): Promise<void> {
  const { extra } = order.sessionOptions as { extra?: { session?: object } }
  const session = {
    ...extra?.session,
    optimized_model_external_initializers_file_name: ARTIFACT_WEIGHTS,
    optimized_model_external_initializers_min_size_in_bytes: String(LEAST_EXTERNAL_BYTES),
    ...(form === 'prepacked' ? { save_external_prepacked_constant_initializers: '1' } : {}),
  }
  const sessionOptions = {
    ...order.sessionOptions,
    optimizedModelFilePath: join(folder, ARTIFACT_MODEL),
    extra: { ...extra, session },
  }
  await whileLoaded({ ...order, sessionOptions }, () => undefined)
}

/** Compares the outputs of the artifact with those of the original. @throws Error if they differ */
async function prove(order: BuildOrder, folder: string, expected: readonly Tensor[][]): Promise<void> {
  const source = join(folder, ARTIFACT_MODEL)
  const sessionOptions = artifactOptions(order.sessionOptions)
  await whileLoaded({ ...order, source, sessionOptions }, async (model) => {
    const answers = await answersOf(model, order.samples)
    const difference = differenceOf(model.signature, expected, answers, order.tolerance)
    if (difference !== undefined)
      throw new Error(`its outputs differ from those of the original: ${difference}`)
  })
}

async function answersOf(model: LoadedModel, samples: BuildOrder['samples']): Promise<Tensor[][]> {
  const { inputs, outputs } = model.signature
  const inputNames = inputs.map(({ name }) => name)
  const answers: Tensor[][] = []
  for (const sample of samples) {
    const named = await model.run(byName(inputNames, sample), undefined)
    answers.push(outputs.map(({ name }) => named[name] as Tensor))
  }
  return answers
}

function differenceOf(
  signature: Signature,
  expected: readonly Tensor[][],
  actual: readonly Tensor[][],
  tolerance: BuildOrder['tolerance'],
): string | undefined {
  for (const [index, answer] of expected.entries()) {
    const differs = firstDifference(answer, actual[index] as Tensor[], tolerance)
    if (differs !== undefined) return `output "${signature.outputs[differs.index]?.name}" ${differs.problem}`
  }
  return undefined
}

/**
 * Hashes all files in the folder and flushes them to the disk; `isFlushed` is false if the file system
 * refuses that.
 */
function seal(folder: string): Pick<BuildDone, 'files' | 'isFlushed'> {
  const names = readdirSync(folder).sort()
  const files = names.map((path) => ({ path, sha256: hashOf(join(folder, path)) }))
  try {
    for (const name of names) flush(join(folder, name))
    return { files, isFlushed: true }
  } catch (error) {
    if (!isFlushRefused(error)) throw error
    return { files, isFlushed: false }
  }
}
