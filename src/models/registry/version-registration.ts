import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ModelConfig } from '../../config/runtime-options.js'
import { errors } from '../../errors/errors.js'
import type { ModelFile } from '../../protocol/model-files.js'
import type { ModelContext } from '../context/model-context.js'
import { VersionRecord, type VersionSpec } from '../context/version-record.js'
import { ModelVersion, type VersionSupervisor } from '../version/model-version.js'
import type { ModelRegistry } from './model-registry.js'
import { renewed } from './routes.js'
import { newestVersions } from './version-order.js'

/** The parameters of a registration. */
export interface VersionRequest {
  readonly name: string
  readonly version: string
  readonly modelType?: string | undefined
  readonly source?: string | URL | undefined
  readonly config?: ModelConfig | undefined
}

/** Registers versions, which are cold at first. */
export class VersionRegistration {
  readonly #context: ModelContext
  readonly #registry: ModelRegistry
  readonly #supervisor: VersionSupervisor

  constructor(context: ModelContext, registry: ModelRegistry, supervisor: VersionSupervisor) {
    this.#context = context
    this.#registry = registry
    this.#supervisor = supervisor
  }

  /**
   * Resolves with the version if it is known, or else registers it from its source or the model directory.
   * @param template is the version that this one replaces; settings that `request` leaves out are taken from it.
   * @throws ERR_VERSION_EXISTS if the version is known with another source, since versions never change
   */
  async register(request: VersionRequest, template?: VersionSpec): Promise<ModelVersion> {
    const { name, version: label } = request
    const existing = this.#registry.find(name, label)
    // A version that is stopping will be cold soon.
    if (existing?.is('stopping')) await existing.waitFor('stopped', 'error')
    if (existing !== undefined && isLabelOnly(request) && !existing.is('error')) return existing
    const spec = await this.#specOf(withInherited(request, existing?.spec ?? template), existing?.spec)
    if (existing !== undefined && !existing.is('error')) {
      if (existing.spec.source !== spec.source || !existing.isCold) throw versionExists(existing)
    }
    // A failed version may load other content, but a cold one must load the same as before.
    const version = this.#add(spec, existing?.isCold ? existing.record.facts.files : undefined)
    // A request without a source refers to the model directory, whose versions stay known.
    version.keep(existing?.isKept ?? request.source === undefined)
    const model = this.#registry.ensure(name)
    if (existing !== undefined) model.route(renewed(model.routes, existing, version))
    return version
  }

  /**
   * Registers all new versions in the model directory. Resolves with the latest version of each model without an
   * active one, and with the errors of versions or models that cannot be loaded.
   */
  async registerRepository(modelDir: string): Promise<{ latest: Map<string, string>; problems: Error[] }> {
    const { found, problems } = await this.#context.repository.scan(modelDir)
    if (found.length + problems.length === 0) {
      const expected = `${modelDir}/<name>/<version>/model.onnx`
      this.#context.logger.warn({ modelDir, expected }, 'no models found in the model directory')
    }
    const latest = new Map<string, string>()
    for (const name of new Set(found.map((spec) => spec.name))) {
      const versions = found.filter((spec) => spec.name === name)
      for (const spec of versions) {
        // A version from the option `models` stays as it is.
        if (this.#registry.find(name, spec.version) === undefined) this.#add({ ...spec, modelType: 'onnx' })
      }
      if (this.#registry.get(name)?.routes.active !== undefined) continue
      const newest = newestVersions(versions.map((spec) => spec.version))
      if (newest.length === 1) latest.set(name, newest[0] as string)
      else problems.push(noLatest(name, newest))
    }
    return { latest, problems }
  }

  /** Adds a new version to its model. */
  #add(spec: VersionSpec, files?: readonly ModelFile[]): ModelVersion {
    const record = new VersionRecord(spec, files)
    const { events } = this.#context
    const model = this.#registry.ensure(spec.name)
    const version = new ModelVersion(this.#context, record, model.lane, this.#supervisor, (event) => {
      events.publish('transition', event)
    })
    model.add(version)
    return version
  }

  async #specOf(request: VersionRequest, existing: VersionSpec | undefined): Promise<VersionSpec> {
    const { name, version, source, config } = request
    const modelType = request.modelType ?? existing?.modelType ?? 'onnx'
    if (source !== undefined) {
      return { name, version, modelType, source: pathOf(source), sha256: undefined, config: config ?? {} }
    }
    const {
      config: { modelDir },
      repository,
    } = this.#context
    const found = modelDir === undefined ? undefined : await repository.find(pathOf(modelDir), name, version)
    if (found !== undefined) return { ...found, modelType, config: { ...found.config, ...config } }
    if (existing !== undefined) return { ...existing, modelType, config: { ...existing.config, ...config } }
    if (modelDir === undefined) {
      throw new errors.ERR_INVALID_OPTIONS(
        `${name}@${version} needs a \`source\` (path or file URL), since the runtime has no \`modelDir\``,
        { model: name, version },
      )
    }
    const expectedPath = `${pathOf(modelDir)}/${name}/${version}/model.onnx`
    const isModelKnown = this.#registry.get(name)?.isEmpty === false
    if (isModelKnown) {
      throw new errors.ERR_VERSION_NOT_FOUND(
        `model ${name} has no version ${version}: there is no ${expectedPath}`,
        {
          model: name,
          version,
        },
      )
    }
    throw new errors.ERR_MODEL_NOT_FOUND(
      `there is no model ${name}@${version}: no \`source\` is set, and there is no ${expectedPath}`,
      {
        model: name,
        version,
      },
    )
  }
}

function noLatest(name: string, newest: readonly string[]): Error {
  const [example] = newest as [string]
  return new errors.ERR_VERSION_NOT_FOUND(
    `the latest version of ${name} cannot be determined from the labels ${newest.join(', ')}; name the one to serve in the option \`models\`, for example { name: ${JSON.stringify(name)}, version: ${JSON.stringify(example)} }, or use labels with an order, such as 1, 2, 3`,
    { model: name },
  )
}

export function versionExists({ spec, state, record }: ModelVersion): Error {
  return new errors.ERR_VERSION_EXISTS(
    `${record.label} exists already (${state}, from ${spec.source}); versions never change, so use a new label or unload it first`,
    record.subject,
  )
}

/**
 * Returns the request with the settings of `from`, the version that it replaces, where it has none of its own. The
 * expected outputs of the sample are not inherited, since those of another version differ.
 */
function withInherited(request: VersionRequest, from: VersionSpec | undefined): VersionRequest {
  if (from === undefined) return request
  const { sample, ...config } = from.config
  const input = sample === undefined ? {} : { sample: { ...sample, output: undefined } }
  return {
    ...request,
    modelType: request.modelType ?? from.modelType,
    ...(request.source === undefined ? {} : { config: { ...config, ...input, ...request.config } }),
  }
}

/** Returns true if the request has neither a source nor settings. */
function isLabelOnly(request: VersionRequest): boolean {
  return request.source === undefined && request.config === undefined
}

/** Returns the absolute path of a path or file URL. @throws ERR_INVALID_OPTIONS for another URL */
export function pathOf(source: string | URL): string {
  if (typeof source === 'string' && /^(?!file:)[a-z][a-z0-9+.-]+:\/\//i.test(source)) {
    throw new errors.ERR_INVALID_OPTIONS(
      `${source} is neither a path nor a file URL; other URLs are not fetched`,
    )
  }
  try {
    return source instanceof URL || source.startsWith('file:') ? fileURLToPath(source) : resolve(source)
  } catch (cause) {
    throw new errors.ERR_INVALID_OPTIONS(`${String(source)} is neither a path nor a file URL`, { cause })
  }
}
