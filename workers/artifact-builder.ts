import { writeFileSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'
import { messageOf } from '../src/errors/errors.js'
import { loadLibc } from '../src/platform/libc.js'
import {
  type BuilderMessage,
  type BuilderOrder,
  type BuilderReplies,
  type BuilderSubject,
  EMPTY_STEP,
} from '../src/protocol/builder/builder-messages.js'
import { failure } from '../src/protocol/failure.js'
import { buildArtifact, whileLoaded } from './builder/build-artifact.js'
import { tryEmptyAxes, tryRuns } from './builder/probe-model.js'
import { tryBatches } from './builder/try-batches.js'
import { refuseSpecialFile } from './files/regular-file.js'
import { digestOf, hashOf } from './model-files/file-hash.js'
import { dataNamesIn, pathsIn } from './model-files/model-paths.js'
import { importOnnxRuntime } from './onnx/onnx-loader.js'

// The builder process: it does the work with model files that could crash a process, one order after another.

/** Niceness of trials, the same as that of replicas. */
const TRIAL_NICENESS = 5

const parent = Number(process.argv[2])

loadLibc()?.dieWithParent()
// The parent may have ended before that call.
if (process.ppid !== parent) process.exit(0)
process.once('disconnect', () => process.exit(0))
offerToBeKilledFirst()

let turn: Promise<void> = Promise.resolve()
process.on('message', (order: BuilderOrder) => {
  turn = turn.then(() => carryOut(order))
})

void send({ kind: 'ready' })

async function carryOut(order: BuilderOrder): Promise<void> {
  // Requests that cannot share runs yet depend on trials; no request depends on the other orders.
  const niceness = order.kind === 'trial' ? TRIAL_NICENESS : constants.priority.PRIORITY_BELOW_NORMAL
  setPriority(Math.max(getPriority(), niceness))
  const obstacle = order.kind === 'digest' || order.kind === 'hash' ? undefined : await obstacleTo(order)
  if (obstacle !== undefined) return send({ kind: 'unable', reason: obstacle })
  try {
    await send({ kind: 'reply', reply: await replyTo(order) })
  } catch (error) {
    await send({ kind: 'reply', reply: failure(error) })
  }
}

/** Returns the reason why this process can load no model although replicas may, for example because of a bundler. */
async function obstacleTo(order: BuilderSubject): Promise<string | undefined> {
  await step('load')
  try {
    await importOnnxRuntime(order)
    return undefined
  } catch (error) {
    const { message, cause } = error as Error
    return `${message} (${messageOf(cause)})`
  }
}

async function replyTo(order: BuilderOrder): Promise<BuilderReplies[keyof BuilderReplies]> {
  switch (order.kind) {
    case 'digest':
      return { ok: true, files: digestOf(order.source) }
    case 'hash':
      return { ok: true, files: order.files.map((path) => ({ path, sha256: hashOf(path) })) }
    case 'probe':
      // onnxruntime would read special files to their end, which may never come.
      for (const path of [order.source, ...pathsIn(order.source, dataNamesIn(order.source))])
        refuseSpecialFile(path)
      await step('load')
      return whileLoaded(order, async (model) => {
        const { signature } = model
        await send({ kind: 'loaded', signature })
        await step('run')
        if (order.fatal.length === 0) await tryRuns(model)
        const emptyAxes = await tryEmptyAxes(model, order.fatal, (set) => step(`${EMPTY_STEP}${set}`))
        return { ok: true, signature, emptyAxes }
      })
    case 'trial':
      await step('load')
      return whileLoaded(order, async (model) => {
        await step('trial')
        return { ok: true, proof: await tryBatches(model, order) }
      })
    case 'build':
      return buildArtifact(order, { step, rejected: (rejected) => send({ kind: 'rejected', rejected }) })
  }
}

function step(name: string): Promise<void> {
  return send({ kind: 'step', step: name })
}

/** Sends a message and resolves once it has left this process, since the next step may crash it. */
function send(message: BuilderMessage): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve())
  })
}

/** Makes the kernel kill this process, not the one that serves, when memory runs out. */
function offerToBeKilledFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Other systems have no such file, and a sandbox may deny writing it.
  }
}
