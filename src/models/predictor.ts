import { parseOptions } from '../config/parse-options.js'
import type { PredictOptions } from '../config/runtime-options.js'
import { predictOptionsSchema } from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import { RunRequest } from '../pools/queue/run-request.js'
import { asRuntimeError } from '../protocol/error-codec.js'
import { describeValue, quote } from '../tensors/describe.js'
import { prepareInputs } from '../tensors/input/prepare-inputs.js'
import type { ModelInput, Outputs, Signature, UnsupportedOutput } from '../tensors/tensor.js'
import { assertOpen, closedError, type ModelContext } from './context/model-context.js'
import type { VersionRecord } from './context/version-record.js'
import { refuseEmptyInputs } from './refuse-empty-inputs.js'
import type { ModelRegistry } from './registry/model-registry.js'
import type { ColdStarts } from './rollout/cold-starts.js'
import type { ModelVersion } from './version/model-version.js'

const NO_OPTIONS: PredictOptions = Object.freeze({})

/** Admits requests: resolves their version, checks their input and hands them to a pool. */
export class Predictor {
  readonly #context: ModelContext
  readonly #registry: ModelRegistry
  readonly #coldStarts: ColdStarts
  /** Requests that wait for the load of their version. */
  readonly #waiting = new Set<RunRequest>()

  constructor(context: ModelContext, registry: ModelRegistry, coldStarts: ColdStarts) {
    this.#context = context
    this.#registry = registry
    this.#coldStarts = coldStarts
  }

  /** @param label is the version to run, which overrides `options.version`. */
  predict(name: string, input: ModelInput, options?: PredictOptions, label?: string): Promise<Outputs> {
    const tracked = this.#context.requests.receive(name)
    try {
      if (typeof name !== 'string') throw invalidName(name)
      const checked =
        options === undefined ? NO_OPTIONS : parseOptions(predictOptionsSchema, options, 'predict')
      assertOpen(this.#context)
      const requestedVersion = label ?? checked.version
      const version = this.#registry.resolve(name, requestedVersion)
      tracked.version = version.spec.version
      const { pool } = version
      if (!pool?.isOpen) assertQueueSpace(this.#context, version)
      version.recorder.begin(tracked.startedAtMs)
      const request = new RunRequest(
        this.#context.clock,
        name,
        tracked.version,
        checked,
        version.recorder.end,
        tracked,
      )
      if (pool?.isOpen) admit(version, request, input)
      else void this.#admitWhenWarm(version, request, input, requestedVersion === undefined)
      return request.promise
    } catch (thrown) {
      const error = asRuntimeError('ERR_INVALID_OPTIONS', 'predict', thrown)
      tracked.settled(error, this.#context.clock.now())
      return Promise.reject(error)
    }
  }

  /** Rejects the requests that wait for a load, which a close of the runtime abandons. */
  close(): void {
    for (const request of this.#waiting) request.reject(closedError())
  }

  /** Admits the request once `version` is loaded. It stays with that version even if another becomes active. */
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
        await this.#coldStarts.warm(current, isPlain)
        const successor = this.#coldStarts.successorOf(current)
        if (successor !== current) current.recorder.handOver(request, successor.recorder)
        current = successor
        request.admittedAtMs = this.#context.clock.now()
        if (current.pool?.isOpen) return admit(current, request, input)
        assertOpen(this.#context)
      }
    } catch (error) {
      request.reject(
        asRuntimeError('ERR_MODEL_UNAVAILABLE', 'the load failed', error, version.record.subject),
      )
    } finally {
      this.#waiting.delete(request)
    }
  }
}

/** Checks the input and hands the request to the pool in one synchronous step, so that no swap comes between. */
function admit(version: ModelVersion, request: RunRequest, input: unknown): void {
  const { record } = version
  const signature = record.facts.signature as Signature
  try {
    request.inputs = prepareInputs(signature, input, record.subject)
    refuseEmptyInputs(record, signature, request.inputs)
    if (request.outputs !== undefined) checkOutputs(request.outputs, signature, record)
    else if (signature.unsupported !== undefined) throw unsupported(signature.unsupported, signature, record)
    version.submit(request)
  } catch (error) {
    request.reject(asRuntimeError('ERR_INFERENCE', 'the request cannot be admitted', error, record.subject))
  }
}

function invalidName(name: unknown): Error {
  return new errors.ERR_MODEL_NOT_FOUND(`there is no model ${describeValue(name)}; the name must be a string`)
}

/** Throws if as many requests wait for the load of the version as its queue would hold. @throws ERR_OVERLOADED */
function assertQueueSpace({ config }: ModelContext, { record, recorder }: ModelVersion): void {
  const maxQueue = Math.max(1, record.spec.config.maxQueue ?? config.maxQueue)
  if (recorder.open < maxQueue) return
  throw new errors.ERR_OVERLOADED(
    `${maxQueue} requests wait for the load of ${record.label}; send fewer requests, keep it loaded or raise maxQueue`,
    { ...record.subject, retryAfterMs: 1_000 },
  )
}

function checkOutputs(names: readonly string[], signature: Signature, version: VersionRecord): void {
  for (const name of names) {
    if (signature.outputs.some((spec) => spec.name === name)) continue
    const output = signature.unsupported?.find((spec) => spec.name === name)
    if (output !== undefined) throw unsupported([output], signature, version)
    throw new errors.ERR_INVALID_OPTIONS(
      `predict: \`outputs\` names ${JSON.stringify(name)}, which does not exist; ${version.label} has ${signature.outputs.map((spec) => spec.name).join(', ')}`,
      version.subject,
    )
  }
}

/** Returns the error of a request for outputs that cannot be returned, by name or because it names none. */
function unsupported(
  outputs: readonly UnsupportedOutput[],
  signature: Signature,
  { label, subject }: VersionRecord,
): Error {
  const reasons = outputs.map(({ name, reason }) => `output ${quote(name)} ${reason}`).join('; ')
  const others = signature.outputs.map(({ name }) => quote(name)).join(', ')
  return new errors.ERR_UNSUPPORTED_MODEL(
    `${label} cannot return all its outputs: ${reasons}; name the outputs to compute: \`outputs: [${others}]\``,
    subject,
  )
}
