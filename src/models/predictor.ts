import type { PredictOptions } from '../config.js'
import { parseOptions, predictOptionsSchema } from '../config.js'
import { errors } from '../errors.js'
import { RunRequest } from '../pools/run-request.js'
import type { VersionPool } from '../pools/version-pool.js'
import { asRuntimeError } from '../protocol/error-codec.js'
import { describeValue, quote } from '../tensors/describe.js'
import { prepareInputs } from '../tensors/prepare-feeds.js'
import type { ModelInput, Outputs, Signature, UnsupportedOutput } from '../tensors/tensor.js'
import { successorOf } from './cold-start.js'
import { refuseEmpty } from './empty-inputs.js'
import type { ModelVersion } from './model-version.js'
import { assertOpen, closed, type Serving } from './serving.js'

const NO_OPTIONS: PredictOptions = Object.freeze({})

/** A request's way from the caller to a pool. */
export class Predictor {
  readonly #serving: Serving
  readonly #warm: (version: ModelVersion, isPlain: boolean) => Promise<void>
  /** Requests that wait for the load of their version. */
  readonly #waiting = new Set<RunRequest>()

  /** `warm` gives a cold version a pool; callers share one load. */
  constructor(serving: Serving, warm: (version: ModelVersion, isPlain: boolean) => Promise<void>) {
    this.#serving = serving
    this.#warm = warm
  }

  /** `label` is the version to ask, whatever the options say. */
  predict(name: string, input: ModelInput, options?: PredictOptions, label?: string): Promise<Outputs> {
    const tracked = this.#serving.requests.receive(name)
    try {
      if (typeof name !== 'string') throw noName(name)
      const checked =
        options === undefined ? NO_OPTIONS : parseOptions(predictOptionsSchema, options, 'predict')
      assertOpen(this.#serving)
      const wanted = label ?? checked.version
      const version = this.#serving.catalogue.resolve(name, wanted)
      tracked.version = version.spec.version
      const { pool } = version
      if (!pool?.isOpen) assertRoom(this.#serving, version)
      version.usage.begin(tracked.startedAtMs)
      const request = new RunRequest(
        this.#serving.clock,
        name,
        tracked.version,
        checked,
        version.usage.end,
        tracked,
      )
      if (pool?.isOpen) admit(this.#serving, version, pool, request, input)
      else void this.#admitWhenWarm(version, request, input, wanted === undefined)
      return request.promise
    } catch (thrown) {
      const error = asRuntimeError('ERR_INVALID_OPTIONS', 'predict', thrown)
      tracked.settled(error, this.#serving.clock.now())
      return Promise.reject(error)
    }
  }

  /** Rejects the requests that wait for a load: the runtime is being closed, and gives the load up. */
  close(): void {
    for (const request of this.#waiting) request.reject(closed())
  }

  /** The request belongs to this version, whatever becomes active while it is being loaded. */
  async #admitWhenWarm(
    version: ModelVersion,
    request: RunRequest,
    input: unknown,
    isPlain: boolean,
  ): Promise<void> {
    this.#waiting.add(request)
    try {
      let current = version
      while (!request.isSettled) {
        await this.#warm(current, isPlain)
        const successor = successorOf(this.#serving, current)
        if (successor !== current) current.usage.handOver(request, successor.usage)
        current = successor
        request.admittedAtMs = this.#serving.clock.now()
        if (current.pool?.isOpen) return admit(this.#serving, current, current.pool, request, input)
        assertOpen(this.#serving)
      }
    } catch (error) {
      request.reject(asRuntimeError('ERR_MODEL_UNAVAILABLE', 'the load failed', error, version.subject))
    } finally {
      this.#waiting.delete(request)
    }
  }
}

/** Checks the input, then hands the request to the pool: in one go, so that no swap comes between. */
function admit(
  serving: Serving,
  version: ModelVersion,
  pool: VersionPool,
  request: RunRequest,
  input: unknown,
): void {
  const signature = version.signature as Signature
  try {
    request.inputs = prepareInputs(signature, input, version.subject)
    refuseEmpty(version, signature, request.inputs)
    if (request.outputs !== undefined) checkOutputs(request.outputs, signature, version)
    else if (signature.unsupported !== undefined) throw unsupported(signature.unsupported, signature, version)
    version.trial?.offer(request)
    if (version.fullReplicas !== undefined) version.grow((err) => notGrown(serving, version, err))
    pool.submit(request)
  } catch (error) {
    request.reject(asRuntimeError('ERR_INFERENCE', 'the request cannot be admitted', error, version.subject))
  }
}

function noName(name: unknown): Error {
  return new errors.ERR_MODEL_NOT_FOUND(`there is no model ${describeValue(name)}; its name is a string`)
}

/** It is served by the replicas that it was left with. */
function notGrown(serving: Serving, version: ModelVersion, err: unknown): void {
  if (version.pool?.isOpen)
    serving.logger.warn({ err, ...version.subject }, 'a pool could not be given its replicas back')
}

/** While a version is being loaded its requests wait here, no more of them than later in its queue. */
function assertRoom(serving: Serving, version: ModelVersion): void {
  const maxQueue = Math.max(1, version.spec.config.maxQueue ?? serving.config.maxQueue)
  if (version.usage.open < maxQueue) return
  const { name, version: label } = version.spec
  throw new errors.ERR_OVERLOADED(
    `${maxQueue} requests wait for ${name}@${label} to be loaded; slow down, keep it loaded or raise maxQueue`,
    { ...version.subject, retryAfterMs: 1_000 },
  )
}

function checkOutputs(names: readonly string[], signature: Signature, version: ModelVersion): void {
  for (const name of names) {
    if (signature.outputs.some((spec) => spec.name === name)) continue
    const output = signature.unsupported?.find((each) => each.name === name)
    if (output !== undefined) throw unsupported([output], signature, version)
    throw new errors.ERR_INVALID_OPTIONS(
      `predict: \`outputs\` names ${JSON.stringify(name)}; ${version.spec.name}@${version.spec.version} has ${signature.outputs.map((spec) => spec.name).join(', ')}`,
      version.subject,
    )
  }
}

/** Returns what a request rejects with that asks for `outputs`, by name or as it names none. */
function unsupported(
  outputs: readonly UnsupportedOutput[],
  signature: Signature,
  { spec, subject }: ModelVersion,
): Error {
  const told = outputs.map(({ name, reason }) => `output ${quote(name)} ${reason}`).join('; ')
  const others = signature.outputs.map(({ name }) => quote(name)).join(', ')
  return new errors.ERR_UNSUPPORTED_MODEL(
    `${spec.name}@${spec.version} cannot be asked for everything: ${told}. Name the outputs to compute: \`outputs: [${others}]\``,
    subject,
  )
}
