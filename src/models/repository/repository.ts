import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { describeIssue } from '../../config/describe-issue.js'
import { type ModelConfig, modelConfigSchema } from '../../config/runtime-options.js'
import { errors } from '../../errors/errors.js'
import type { FileOwner } from '../../protocol/model-files.js'
import { parseJson } from '../../text/parse-json.js'

const versionManifestSchema = z.strictObject({
  /** SHA-256 of model.onnx, checked before each load. */
  sha256: z
    .string()
    .trim()
    .toLowerCase()
    .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits')
    .optional(),
  /** Settings of this version, which override those of model.json. */
  config: modelConfigSchema.optional(),
})

/** A `<name>/<version>/model.onnx` of a model directory, with its settings. */
export interface RepositoryVersion {
  readonly name: string
  readonly version: string
  readonly source: string
  readonly sha256: string | undefined
  readonly config: ModelConfig
}

/**
 * Resolves with all versions in `modelDir`, and with the errors of those whose manifests are invalid. Folders without
 * a model file are skipped.
 * @throws ERR_INVALID_OPTIONS if `modelDir` cannot be read
 */
export async function scanRepository(
  modelDir: string,
): Promise<{ found: RepositoryVersion[]; problems: Error[] }> {
  const root = resolve(modelDir)
  const names = await folders(root, (cause) => {
    throw new errors.ERR_INVALID_OPTIONS(
      `\`modelDir\` ${JSON.stringify(root)} cannot be read; check that the folder exists and is readable`,
      {
        cause,
      },
    )
  })
  const found: RepositoryVersion[] = []
  const problems: Error[] = []
  for (const name of names) {
    for (const version of await folders(join(root, name), () => [])) {
      try {
        const entry = await findInRepository(modelDir, name, version)
        if (entry !== undefined) found.push(entry)
      } catch (error) {
        problems.push(error as Error)
      }
    }
  }
  return { found, problems }
}

/**
 * Resolves with a version of the model directory; undefined if it has no model file.
 * @throws ERR_INVALID_MANIFEST
 */
export async function findInRepository(
  modelDir: string,
  name: string,
  version: string,
): Promise<RepositoryVersion | undefined> {
  const folder = join(resolve(modelDir), name)
  const source = join(folder, version, 'model.onnx')
  const exists = await stat(source).then(
    (status) => status.isFile(),
    () => false,
  )
  if (!exists) return undefined
  const modelConfig = await readManifest(join(folder, 'model.json'), modelConfigSchema, { name })
  const manifest = await readManifest(join(folder, version, 'version.json'), versionManifestSchema, {
    name,
    version,
  })
  return {
    name,
    version,
    source,
    sha256: manifest?.sha256,
    config: { ...modelConfig, ...manifest?.config },
  }
}

/** Rejects if the SHA-256 of the file is not `sha256`. @throws ERR_MODEL_LOAD */
export async function verifyHash(source: string, sha256: string, subject: FileOwner): Promise<void> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(source), hash)
  const actual = hash.digest('hex')
  if (actual !== sha256) throw otherHash(source, actual, sha256, subject)
}

/** Returns the error for a file whose hash differs from that in its version.json. */
export function otherHash(source: string, actual: string, sha256: string, subject: FileOwner): Error {
  return new errors.ERR_MODEL_LOAD(
    `${source} has sha256 ${actual}, but its version.json has ${sha256}; the file is damaged or was replaced, so restore it`,
    subject,
  )
}

async function folders(path: string, onError: (cause: unknown) => string[]): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true })
    const names = entries.filter((entry) => !entry.name.startsWith('.')).map((entry) => entry.name)
    // Each entry has its own `catch`, since a broken link must not hide the others.
    const isFolder = await Promise.all(
      names.map((name) =>
        stat(join(path, name)).then(
          (status) => status.isDirectory(),
          () => false,
        ),
      ),
    )
    return names.filter((_, index) => isFolder[index]).sort()
  } catch (cause) {
    return onError(cause)
  }
}

async function readManifest<T extends z.ZodType>(
  path: string,
  schema: T,
  subject: { name: string; version?: string },
): Promise<z.output<T> | undefined> {
  const refuse = (problem: string, cause?: unknown): Error =>
    new errors.ERR_INVALID_MANIFEST(`${path}: ${problem}`, {
      model: subject.name,
      version: subject.version,
      cause,
    })
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw refuse(`it cannot be read (${error.message})`, error)
  })
  if (bytes === undefined) return undefined
  let json: unknown
  try {
    json = parseJson(bytes)
  } catch (cause) {
    throw refuse(`not JSON (${(cause as Error).message})`, cause)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw refuse(parsed.error.issues.map((issue) => describeIssue(issue, json, schema)).join('; '))
}
