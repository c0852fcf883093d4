import { mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import {
  ARTIFACT_MODEL,
  ARTIFACT_WEIGHTS,
  type ArtifactForm,
  type BuildDone,
  type BuilderSubject,
  type BuildOrder,
  type FileHash,
  type RejectedForm,
} from '../src/protocol/builder-messages.js'
import type { LoadedModel } from '../src/protocol/loader.js'
import { artifactOptions } from '../src/protocol/session-options.js'
import { byName } from '../src/tensors/by-name.js'
import { firstDifference } from '../src/tensors/difference.js'
import type { Signature, Tensor } from '../src/tensors/tensor.js'
import { flush, hashOf } from './file-hash.js'
import { load } from './onnx-loader.js'

/** Smaller weights stay in the model's file. */
const LEAST_EXTERNAL_BYTES = 1024

const MAX_REASON_LENGTH = 500
/** With less left, a write may have failed for that. */
const SPARE_DISK_BYTES = 16 * 2 ** 20

const EXACT = { rtol: 0, atol: 0 }

/** What the build tells before it is done: each may be its last word. */
export interface BuildListener {
  step(step: string): Promise<void>
  rejected(rejected: RejectedForm): Promise<void>
}

/** Builds the artifact of a model in the first form that gives the same answers as the original. */
export async function buildArtifact(order: BuildOrder, listener: BuildListener): Promise<BuildDone> {
  await listener.step('original')
  const { signature, answers, again } = await whileLoaded(order, async (model) => ({
    signature: model.signature,
    answers: await answersOf(model, order.samples),
    again: await answersOf(model, order.samples),
  }))
  const rejected: RejectedForm[] = []
  const unsteady = differenceOf(signature, answers, again, EXACT)
  for (const form of order.forms) {
    const folder = join(order.folder, form)
    await listener.step(form)
    try {
      if (unsteady !== undefined)
        throw new Error(`the original itself answers differently each time: ${unsteady}`)
      // Of a builder that was killed.
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(folder)
      await write(order, form, folder)
      await prove(order, folder, answers)
      return { ok: true, form, files: sealed(folder), rejected }
    } catch (error) {
      if (isPassing(error, order.folder)) throw error
      rmSync(folder, { recursive: true, force: true })
      const reason = reasonOf(error, order.folder)
      rejected.push({ form, reason })
      await listener.rejected({ form, reason })
    }
  }
  return { ok: true, form: undefined, files: [], rejected }
}

/** Whether it may be otherwise another time: then it says nothing about the form. */
function isPassing(error: unknown, folder: string): boolean {
  const { bavail, bsize } = statfsSync(folder)
  return (
    bavail * bsize < SPARE_DISK_BYTES || /ENOSPC|EDQUOT|No space left|quota|bad_alloc/i.test(String(error))
  )
}

/** Without the folder, which says nothing to anybody later. */
function reasonOf(error: unknown, folder: string): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replaceAll(`${folder}/`, '').slice(0, MAX_REASON_LENGTH)
}

/** Loads a model as a replica would, for as long as `use` takes. */
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
 * onnxruntime writes what it has made of a model while it makes a session of it. Option names:
 * onnxruntime_session_options_config_keys.h.
 */
async function write(order: BuildOrder, form: ArtifactForm, folder: string): Promise<void> {
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

/** @throws Error if the artifact does not answer as the original does. */
async function prove(order: BuildOrder, folder: string, expected: readonly Tensor[][]): Promise<void> {
  const source = join(folder, ARTIFACT_MODEL)
  const sessionOptions = artifactOptions(order.sessionOptions)
  await whileLoaded({ ...order, source, sessionOptions }, async (model) => {
    const answers = await answersOf(model, order.samples)
    const found = differenceOf(model.signature, expected, answers, order.tolerance)
    if (found !== undefined) throw new Error(`it answers otherwise than the original: ${found}`)
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
    if (differs !== undefined) return `output "${signature.outputs[differs.index]?.name}" ${differs.found}`
  }
  return undefined
}

/** Everything in the folder, on the disk. */
function sealed(folder: string): FileHash[] {
  const names = readdirSync(folder).sort()
  const files = names.map((path) => ({ path, sha256: hashOf(join(folder, path)) }))
  for (const name of names) flush(join(folder, name))
  return files
}
