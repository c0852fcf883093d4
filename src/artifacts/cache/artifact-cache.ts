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

/** Of the layout below; another one has its own folder. */
const FORMAT = 'v1'
const MANIFEST = 'manifest'
const FOLDERS = ['entries', 'probes', 'files', 'uses', 'tmp'] as const
const DAY_MS = 86_400_000
/** Records that were not used for so long, or are more than these, are removed. */
const KEPT_MS = 30 * DAY_MS
const MAX_RECORDS = 4096
/** Length of a hash in hexadecimal. */
const KEY_LENGTH = 64
/** Files whose stamps are remembered. */
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
  /** Key of the entry; a record with another one is somebody else's. */
  key: z.string(),
  /** The original where no form could be proven. */
  form: z.enum([...ARTIFACT_FORMS, 'original']),
  files: z.array(z.strictObject({ name: z.string(), sha256, stamp: z.string(), bytes: z.number() })),
  rejected: rejectedForms,
})

export type ArtifactManifest = z.output<typeof manifestSchema>

/** A file of a model with its content, and its stamp when that was read. */
export type DatedHash = z.output<typeof digestSchema>['files'][number]

export interface ArtifactEntry extends ArtifactManifest {
  /** Absolute path of its folder. */
  readonly folder: string
}

/** Has the content of files read, at length. */
export type HashFiles = (files: readonly string[]) => Promise<readonly FileHash[]>

/**
 * A folder of artifacts by the content that they were made of, shared by processes:
 * `entries/<key>/` is put in place whole, by a rename, and never changed; `probes/<key>` tells that
 * a model was loaded without harm, `files/<path's hash>` what a file held, `uses/` who has
 * mapped what. What is damaged counts as absent.
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

  /** Makes the folders, and removes what nobody needs any more. @throws Error where it cannot be used. */
  async open(): Promise<void> {
    for (const name of FOLDERS) await makeFolder(join(this.#root, name))
    await assertOwn(this.#root, FOLDERS, this.#unfinished())
    // Nothing is removed from a cache that can only be read.
    await this.#sweep().catch(() => undefined)
  }

  /** What the model's files are known to hold; undefined unless none has been touched since. */
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

  /** A damaged entry is removed. */
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

  /** A folder to build in, on the same disk as the entries. */
  async newFolder(): Promise<string> {
    const folder = this.#unfinished()
    await mkdir(folder, { mode: 0o700 })
    return folder
  }

  discard(folder: string): Promise<void> {
    return rm(folder, { recursive: true, force: true })
  }

  /** How much the disk has room for. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#root)
    return bavail * bsize
  }

  /**
   * Puts a folder in place as the entry of that key; if somebody else was faster, theirs stays. Files that
   * are not sure to be on the disk (`isFlushed`) are read once by each process that uses them.
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

  /** Keeps the entry from being removed until `leave`, here and in other processes. */
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
    // Touched or moved: what they hold counts.
    const hashes = await this.#hashFiles(paths)
    if (!files.every(({ sha256 }, index) => sha256 === hashes[index]?.sha256)) return false
    for (const [index, path] of paths.entries()) {
      const { text } = stamps[index] as FileStamp
      if (isSettled(text, nowMs)) this.#verified.set(path, text)
    }
    for (const path of [...this.#verified.keys()].slice(0, -MAX_VERIFIED)) this.#verified.delete(path)
    return true
  }

  /** Removes entries that were not used for long until the others fit; none that is mapped. */
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

  /** In one step for whoever looks for it. */
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

  /** What processes have left behind that are gone. */
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

  /** A name for what is not in place, or not any more. */
  #unfinished(): string {
    return join(this.#root, 'tmp', `${ownIdentity()}.${randomUUID()}`)
  }

  /** Marks a record as used now; the one that was used last is removed last. */
  async #touch(path: string): Promise<void> {
    const now = new Date(this.#clock.epoch())
    await utimes(path, now, now).catch(() => undefined)
  }

  #digestPath(source: string): string {
    return join(this.#root, 'files', createHash('sha256').update(source).digest('hex'))
  }
}

/** Removes records that nobody has used for long, what an interrupted write has left, and the oldest of too many. */
async function sweepRecords(folder: string, nowMs: number): Promise<void> {
  const names = await readdir(folder)
  const dated = await Promise.all(
    names.map(async (name) => ({ name, usedAtMs: await usedAtMs(join(folder, name)) })),
  )
  dated.sort((a, b) => b.usedAtMs - a.usedAtMs)
  for (const [index, record] of dated.entries()) {
    // An unfinished one has a longer name.
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
