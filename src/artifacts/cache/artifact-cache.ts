import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, statfs, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../../platform/clock.js'
import { mayBeAlive, ownIdentity } from '../../platform/process-identity.js'
import { ARTIFACT_FORMS, type FileHash } from '../../protocol/builder/builder-messages.js'
import { isSettled } from '../../protocol/model-files.js'
import type { Signature } from '../../tensors/tensor.js'
import type { Probed } from '../builder/probe.js'
import { CacheUses } from './cache-uses.js'
import { type FileStamp, stampOf, stampsOf } from './file-stamp.js'
import { assertOwn, makeFolder } from './own-folders.js'
import { readRecord, writeRecord } from './record-file.js'

/** The version of the cache's layout; each has a folder of its own. */
const FORMAT = 'v1'
const MANIFEST = 'manifest'
const FOLDERS = ['entries', 'probes', 'files', 'uses', 'tmp'] as const
const DAY_MS = 86_400_000
/** Time after its last use for which a record is kept. */
const KEPT_MS = 30 * DAY_MS
/** Number of records that are kept; the least recently used ones are removed. */
const MAX_RECORDS = 4096
/** Length of a hash in hexadecimal. */
const KEY_LENGTH = 64
/** Number of files whose stamps are remembered. */
const MAX_VERIFIED = 1024

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const rejectedForms = z.array(z.strictObject({ form: z.enum(ARTIFACT_FORMS), reason: z.string() }))

const digestSchema = z.strictObject({
  source: z.string(),
  files: z
    .array(z.strictObject({ path: z.string(), name: z.string().default(''), sha256, stamp: z.string() }))
    .min(1),
})
const axisSets = z.array(z.array(z.string()))
const probeSchema = z.strictObject({
  key: z.string(),
  signature: z.unknown(),
  emptyAxes: z.strictObject({ fatal: axisSets, answered: axisSets }),
})
const manifestSchema = z.strictObject({
  /** Key of the entry; a manifest with another key belongs to another entry. */
  key: z.string(),
  /** `original` if no form could be proven. */
  form: z.enum([...ARTIFACT_FORMS, 'original']),
  files: z.array(z.strictObject({ name: z.string(), sha256, stamp: z.string(), bytes: z.number() })),
  rejected: rejectedForms,
})

export type ArtifactManifest = z.output<typeof manifestSchema>

/** A file of a model: the hash of its content, and its stamp when the content was read. */
export type DatedHash = z.output<typeof digestSchema>['files'][number]

export interface ArtifactEntry extends ArtifactManifest {
  /** Absolute path of its folder. */
  readonly folder: string
}

/** Reads files whole and resolves with the hashes of their content. */
export type HashFiles = (files: readonly string[]) => Promise<readonly FileHash[]>

/**
 * A folder of artifacts, by the content that they were made of, which several processes share.
 * `entries/<key>/` is put in place whole, by a rename, and never changed. `probes/<key>` records that a model
 * was loaded without harm, `files/<hash of the path>` the content of a model's files, and `uses/` which
 * processes use which entries. Damaged files count as missing.
 */
export class ArtifactCache {
  readonly #clock: Clock
  readonly #root: string
  readonly #maxBytes: number
  readonly #hashFiles: HashFiles
  readonly #uses: CacheUses
  /** Stamps of files, by path, that were read here because the manifest has others. */
  readonly #verified = new Map<string, string>()

  constructor(clock: Clock, cacheDir: string, maxBytes: number, hashFiles: HashFiles) {
    this.#clock = clock
    this.#root = join(cacheDir, FORMAT)
    this.#maxBytes = maxBytes
    this.#hashFiles = hashFiles
    this.#uses = new CacheUses(clock, join(this.#root, 'uses'))
  }

  /** Makes the folders and removes files that are no longer needed. @throws Error if the cache cannot be used. */
  async open(): Promise<void> {
    for (const name of FOLDERS) await makeFolder(join(this.#root, name))
    await assertOwn(this.#root, FOLDERS, this.#unfinished())
    // Nothing is removed from a cache that can only be read.
    await this.#sweep().catch(() => undefined)
  }

  /** Returns the recorded content of a model's files; undefined if there is none, or if a file was touched since. */
  async digest(source: string): Promise<readonly DatedHash[] | undefined> {
    const record = await readRecord(this.#digestPath(source), digestSchema)
    if (record?.source !== source) return undefined
    await this.#touch(this.#digestPath(source))
    const stamps = await stampsOf(record.files.map(({ path }) => path))
    if (stamps === undefined) return undefined
    return record.files.every(({ stamp }, index) => stamp === stamps[index]?.text) ? record.files : undefined
  }

  async saveDigest(source: string, files: readonly DatedHash[]): Promise<void> {
    await writeRecord(this.#digestPath(source), { source, files })
  }

  async probe(key: string): Promise<Probed | undefined> {
    const path = join(this.#root, 'probes', key)
    const record = await readRecord(path, probeSchema)
    if (record?.key !== key) return undefined
    await this.#touch(path)
    const { signature, emptyAxes } = record
    return { signature: signature as Signature, emptyAxes }
  }

  async saveProbe(key: string, probed: Probed): Promise<void> {
    await writeRecord(join(this.#root, 'probes', key), { key, ...probed })
  }

  /** Returns the entry of `key`; undefined if there is none. Removes a damaged one. */
  async find(key: string): Promise<ArtifactEntry | undefined> {
    const folder = join(this.#root, 'entries', key)
    const manifest = await readRecord(join(folder, MANIFEST), manifestSchema)
    if (manifest?.key === key && (await this.#isWhole(folder, manifest))) {
      await this.#touch(join(folder, MANIFEST))
      return { ...manifest, folder }
    }
    const exists = await stat(folder).then(
      () => true,
      () => false,
    )
    if (exists) await this.#remove(key)
    return undefined
  }

  /** Makes a folder to build in, on the same disk as the entries. */
  async newFolder(): Promise<string> {
    const folder = this.#unfinished()
    await mkdir(folder, { mode: 0o700 })
    return folder
  }

  discard(folder: string): Promise<void> {
    return rm(folder, { recursive: true, force: true })
  }

  /** Returns the free space of the disk in bytes. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#root)
    return bavail * bsize
  }

  /**
   * Puts a folder in place as the entry of `key`; if another process was faster, its entry stays. If the
   * files may not be on the disk yet (`isFlushed` is false), each process that uses them reads them once.
   */
  async publish(
    key: string,
    folder: string,
    { form, rejected }: Pick<ArtifactManifest, 'form' | 'rejected'>,
    hashes: readonly FileHash[],
    isFlushed = true,
  ): Promise<void> {
    const files = await Promise.all(
      hashes.map(async ({ path: name, sha256 }) => {
        const { text: stamp, bytes } = await stampOf(join(folder, name))
        return { name, sha256, stamp: isFlushed ? stamp : '', bytes }
      }),
    )
    await writeRecord(join(folder, MANIFEST), { key, form, files, rejected })
    try {
      await rename(folder, join(this.#root, 'entries', key))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EPERM') throw error
      await this.discard(folder)
    }
    await this.#makeRoom(key)
  }

  /** Protects the entry from removal by this and other processes until `leave`. */
  use(key: string): Promise<void> {
    return this.#uses.join(key)
  }

  leave(key: string): Promise<void> {
    return this.#uses.leave(key)
  }

  async #isWhole(folder: string, { form, files }: ArtifactManifest): Promise<boolean> {
    if (form === 'original') return true
    const paths = files.map(({ name }) => join(folder, name))
    const nowMs = this.#clock.epoch()
    const stamps = await stampsOf(paths)
    if (stamps === undefined || files.length === 0) return false
    if (files.some(({ bytes }, index) => bytes !== stamps[index]?.bytes)) return false
    const isKnown = ({ stamp }: (typeof files)[number], index: number): boolean => {
      const current = stamps[index]?.text
      return current === stamp || current === this.#verified.get(paths[index] as string)
    }
    if (files.every(isKnown)) return true
    // The files were touched or moved, so their content decides.
    const hashes = await this.#hashFiles(paths)
    if (!files.every(({ sha256 }, index) => sha256 === hashes[index]?.sha256)) return false
    for (const [index, path] of paths.entries()) {
      const { text } = stamps[index] as FileStamp
      if (isSettled(text, nowMs)) this.#verified.set(path, text)
    }
    for (const path of [...this.#verified.keys()].slice(0, -MAX_VERIFIED)) this.#verified.delete(path)
    return true
  }

  /** Removes the least recently used entries until the others fit; never one that is in use. */
  async #makeRoom(kept: string): Promise<void> {
    const entries = await this.#entries()
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0)
    for (const { key, bytes } of entries.sort((a, b) => a.usedAtMs - b.usedAtMs)) {
      if (total <= this.#maxBytes) return
      if (key === kept || (await this.#uses.isUsed(key))) continue
      await this.#remove(key)
      total -= bytes
    }
  }

  async #entries(): Promise<{ key: string; bytes: number; usedAtMs: number }[]> {
    const keys = await readdir(join(this.#root, 'entries'))
    return Promise.all(
      keys.map(async (key) => {
        const folder = join(this.#root, 'entries', key)
        const names = await readdir(folder).catch(() => [])
        const stats = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)))
        return {
          key,
          bytes: stats.reduce((sum, file) => sum + (file?.size ?? 0), 0),
          usedAtMs: await usedAtMs(join(folder, MANIFEST)),
        }
      }),
    )
  }

  /** Removes an entry; a rename first makes it disappear in one step for other processes. */
  async #remove(key: string): Promise<void> {
    const trash = this.#unfinished()
    try {
      await rename(join(this.#root, 'entries', key), trash)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    await this.discard(trash)
  }

  /** Removes the files that ended processes have left behind, and old records. */
  async #sweep(): Promise<void> {
    const nowMs = this.#clock.epoch()
    const folder = join(this.#root, 'tmp')
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      if (!(await mayBeAlive(name, path, DAY_MS, nowMs))) await this.discard(path)
    }
    await this.#uses.sweep()
    for (const name of ['probes', 'files']) await sweepRecords(join(this.#root, name), nowMs)
  }

  /** Returns a new path for a folder that is not yet, or no longer, an entry. */
  #unfinished(): string {
    return join(this.#root, 'tmp', `${ownIdentity()}.${randomUUID()}`)
  }

  /** Marks a record as used now; the most recently used one is removed last. */
  async #touch(path: string): Promise<void> {
    const now = new Date(this.#clock.epoch())
    await utimes(path, now, now).catch(() => undefined)
  }

  #digestPath(source: string): string {
    return join(this.#root, 'files', createHash('sha256').update(source).digest('hex'))
  }
}

/** Removes records that were not used for long, remains of interrupted writes, and the oldest of too many records. */
async function sweepRecords(folder: string, nowMs: number): Promise<void> {
  const names = await readdir(folder)
  const dated = await Promise.all(
    names.map(async (name) => ({ name, usedAtMs: await usedAtMs(join(folder, name)) })),
  )
  dated.sort((a, b) => b.usedAtMs - a.usedAtMs)
  for (const [index, record] of dated.entries()) {
    // An unfinished record has a longer name.
    const keptMs = record.name.length === KEY_LENGTH ? KEPT_MS : DAY_MS
    if (index < MAX_RECORDS && nowMs - record.usedAtMs < keptMs) continue
    await rm(join(folder, record.name), { force: true }).catch(() => undefined)
  }
}

async function usedAtMs(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  )
}
