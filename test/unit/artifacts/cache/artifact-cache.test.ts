import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../../../models/synthetic/temp-folder.js'
import { ArtifactCache, type ArtifactEntry } from '../../../../src/artifacts/cache/artifact-cache.js'
import { type Clock, systemClock } from '../../../../src/platform/clock.js'
import type { FileHash } from '../../../../src/protocol/builder/builder-messages.js'
import { FakeClock } from '../../../support/fake-clock.js'

const MODEL = 'model.onnx'
const WEIGHTS = 'weights.bin'

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

function keyOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

interface Bed {
  readonly cache: ArtifactCache
  readonly root: string
  /** How often files had to be read whole. */
  readonly hashed: string[][]
  publish(key: string, weights?: string): Promise<ArtifactEntry | undefined>
}

async function openCache(folder: string, maxBytes = 2 ** 30, clock: Clock = systemClock): Promise<Bed> {
  const hashed: string[][] = []
  const cache = new ArtifactCache(clock, folder, maxBytes, async (files) => {
    hashed.push([...files])
    return files.map((path) => ({ path, sha256: hashOf(path) }))
  })
  await cache.open()
  return {
    cache,
    hashed,
    root: join(folder, 'v1'),
    async publish(key, weights = 'w'.repeat(100)) {
      const built = await cache.newFolder()
      writeFileSync(join(built, MODEL), `the graph of ${key}`)
      writeFileSync(join(built, WEIGHTS), weights)
      const files: FileHash[] = [MODEL, WEIGHTS].map((path) => ({ path, sha256: hashOf(join(built, path)) }))
      await cache.publish(key, built, { form: 'prepacked', rejected: [] }, files)
      return cache.find(key)
    },
  }
}

describe('an entry of the cache', () => {
  it('is found as it was published, without its files being read', async () => {
    using folder = tempFolder()
    const { cache, root, hashed, publish } = await openCache(folder.path)
    const key = keyOf('a')
    const published = await publish(key)
    expect(published).toMatchObject({ key, form: 'prepacked', folder: join(root, 'entries', key) })
    expect(await cache.find(key)).toEqual(published)
    expect(hashed).toEqual([])
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
    expect(await cache.find(keyOf('b'))).toBeUndefined()
  })

  it.each([MODEL, WEIGHTS, 'manifest'])(
    'is none, and gone, after any byte of its %s has changed',
    async (name) => {
      using folder = tempFolder()
      const { cache, root, publish } = await openCache(folder.path)
      const key = keyOf('a')
      const { folder: entry } = (await publish(key, 'weights')) as ArtifactEntry
      const length = readFileSync(join(entry, name)).length
      // A hundred of them: each costs several flushes to the disk.
      for (let index = 0; index < length; index += 1 + Math.floor(length / 100)) {
        await publish(key, 'weights')
        const bytes = readFileSync(join(entry, name))
        bytes[index] = (bytes[index] as number) ^ 1
        writeFileSync(join(entry, name), bytes)
        expect(await cache.find(key)).toBeUndefined()
        expect(existsSync(entry)).toBe(false)
      }
      expect(readdirSync(join(root, 'tmp'))).toEqual([])
    },
  )

  it.each([MODEL, WEIGHTS, 'manifest'])('is none if its %s is cut short, longer or missing', async (name) => {
    using folder = tempFolder()
    const { cache, publish } = await openCache(folder.path)
    const key = keyOf('a')
    for (const damage of [
      (whole: Buffer) => whole.subarray(0, -1),
      (whole: Buffer) => Buffer.concat([whole, whole]),
      () => Buffer.alloc(0),
    ]) {
      const { folder: entry } = (await publish(key)) as ArtifactEntry
      writeFileSync(join(entry, name), damage(readFileSync(join(entry, name))))
      expect(await cache.find(key)).toBeUndefined()
    }
  })

  it('stays what it is when only its times have changed, which is read once', async () => {
    using folder = tempFolder()
    const { cache, hashed, publish } = await openCache(folder.path)
    const key = keyOf('a')
    const entry = (await publish(key)) as ArtifactEntry
    utimesSync(join(entry.folder, WEIGHTS), 1, 1)
    expect(await cache.find(key)).toEqual(entry)
    expect(hashed).toHaveLength(1)
  })

  it('is not replaced by another one of the same key', async () => {
    using folder = tempFolder()
    const { cache, root, publish } = await openCache(folder.path)
    const key = keyOf('a')
    const first = await publish(key, 'first')
    const second = await publish(key, 'second')
    expect(second).toEqual(first)
    expect(await cache.find(key)).toEqual(first)
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
  })

  it('is none under the key of another one, and gone', async () => {
    using folder = tempFolder()
    const { cache, root, publish } = await openCache(folder.path)
    const [a, b] = [keyOf('a'), keyOf('b')]
    await publish(a)
    cpSync(join(root, 'entries', a), join(root, 'entries', b), { recursive: true })
    expect(await cache.find(b)).toBeUndefined()
    expect(existsSync(join(root, 'entries', b))).toBe(false)
    expect(await cache.find(a)).toBeDefined()
    const probed = { signature: { inputs: [], outputs: [] }, emptyAxes: { fatal: [], answered: [['x']] } }
    await cache.saveProbe(a, probed)
    cpSync(join(root, 'probes', a), join(root, 'probes', b))
    expect(await cache.probe(a)).toEqual(probed)
    expect(await cache.probe(b)).toBeUndefined()
  })

  it('whose files may not be on the disk is read once by each process', async () => {
    using folder = tempFolder()
    const { cache } = await openCache(folder.path)
    const key = keyOf('a')
    const built = await cache.newFolder()
    writeFileSync(join(built, MODEL), 'the graph')
    utimesSync(join(built, MODEL), 1, 1)
    const files = [{ path: MODEL, sha256: hashOf(join(built, MODEL)) }]
    await cache.publish(key, built, { form: 'external', rejected: [] }, files, false)
    const other = await openCache(folder.path)
    expect(await other.cache.find(key)).toBeDefined()
    expect(other.hashed).toHaveLength(1)
    // What a machine that lost its power has left: the size, but not the bytes.
    writeFileSync(join(folder.path, 'v1', 'entries', key, MODEL), '\0'.repeat(9))
    expect(await (await openCache(folder.path)).cache.find(key)).toBeUndefined()
  })

  it('that is half written is never seen', async () => {
    using folder = tempFolder()
    const { cache, root } = await openCache(folder.path)
    const key = keyOf('a')
    mkdirSync(join(root, 'entries', key))
    writeFileSync(join(root, 'entries', key, MODEL), 'the graph')
    expect(await cache.find(key)).toBeUndefined()
    expect(existsSync(join(root, 'entries', key))).toBe(false)
  })
})

describe('a cache that is too large', () => {
  const keys = ['a', 'b', 'c', 'd'].map(keyOf)
  const age = (root: string, key: string, seconds: number): void =>
    utimesSync(join(root, 'entries', key, 'manifest'), seconds, seconds)

  it('loses what was not used for longest', async () => {
    using folder = tempFolder()
    const { cache, root, publish } = await openCache(folder.path, 25_000)
    const [a, b, c, d] = keys as [string, string, string, string]
    for (const [index, key] of [a, b, c].entries()) {
      await publish(key, 'w'.repeat(7_000))
      age(root, key, index + 1)
    }
    // Used now.
    await cache.find(a)
    await publish(d, 'w'.repeat(7_000))
    expect(readdirSync(join(root, 'entries')).sort()).toEqual([a, c, d].sort())
  })

  it('keeps what is in use, here or in another process that lives', async () => {
    using folder = tempFolder()
    const { cache, root, publish } = await openCache(folder.path, 10_000)
    const [a, b, c, d] = keys as [string, string, string, string]
    await publish(a, 'w'.repeat(7_000))
    await cache.use(a)
    await publish(b, 'w'.repeat(7_000))
    const uses = join(root, 'uses')
    const [own] = readdirSync(uses) as [string]
    // Of a process that was: the number of this one, started at another time.
    const identity = own.slice(a.length + 1)
    writeFileSync(join(uses, `${b}.${identity.replace(/\.\d+$/, '.1')}`), '')
    await publish(c, 'w'.repeat(7_000))
    expect(readdirSync(join(root, 'entries')).sort()).toEqual([a, c].sort())
    expect(readdirSync(uses)).toEqual([own])
    await cache.leave(a)
    expect(readdirSync(uses)).toEqual([])
    await publish(d, 'w'.repeat(7_000))
    expect(readdirSync(join(root, 'entries'))).toEqual([d])
  })

  it('tells others every day what is in use', async () => {
    using folder = tempFolder()
    const clock = new FakeClock()
    const { cache, root } = await openCache(folder.path, 2 ** 30, clock)
    // It belongs to the same process, and uses nothing itself.
    await openCache(folder.path, 2 ** 30, clock)
    await cache.use(keyOf('a'))
    await cache.use(keyOf('b'))
    expect(clock.pending).toBe(1)
    const marks = readdirSync(join(root, 'uses')).map((name) => join(root, 'uses', name))
    const areRecent = (): boolean => marks.every((mark) => statSync(mark).mtimeMs > 1_000)
    for (const mark of marks) utimesSync(mark, 1, 1)
    expect(areRecent()).toBe(false)
    await clock.advance(86_400_000)
    await expect.poll(areRecent).toBe(true)
    await cache.leave(keyOf('a'))
    expect(clock.pending).toBe(1)
    await cache.leave(keyOf('b'))
    expect(clock.pending).toBe(0)
    for (const mark of marks) expect(existsSync(mark)).toBe(false)
  })

  it('believes the mark of a process on another machine', async () => {
    using folder = tempFolder()
    const { root, publish } = await openCache(folder.path, 10_000)
    const [a, b] = keys as [string, string]
    await publish(a, 'w'.repeat(7_000))
    writeFileSync(join(root, 'uses', `${a}.elsewhere.1.1`), '')
    await publish(b, 'w'.repeat(7_000))
    expect(readdirSync(join(root, 'entries')).sort()).toEqual([a, b].sort())
  })

  it('believes such a mark for a week', async () => {
    using folder = tempFolder()
    const clock = new FakeClock()
    const { cache, root } = await openCache(folder.path, 2 ** 30, clock)
    const elsewhere = join(root, 'uses', `${keyOf('a')}.elsewhere.1.1`)
    writeFileSync(elsewhere, '')
    const writtenAt = clock.epoch() / 1_000
    utimesSync(elsewhere, writtenAt, writtenAt)
    await clock.advance(7 * 86_400_000 - 1)
    await cache.open()
    expect(existsSync(elsewhere)).toBe(true)
    await clock.advance(1)
    await cache.open()
    expect(existsSync(elsewhere)).toBe(false)
  })
})

describe('a cache that is opened', () => {
  it('loses what builders that are gone have left behind, and only that', async () => {
    using folder = tempFolder()
    const { cache, root } = await openCache(folder.path)
    const mine = await cache.newFolder()
    const gone = mine.replace(/\.\d+\.([^.]+)$/, '.1.$1')
    mkdirSync(gone)
    await openCache(folder.path)
    expect(readdirSync(join(root, 'tmp')).map((name) => join(root, 'tmp', name))).toEqual([mine])
  })

  it('loses the marks of processes that are gone, and only them', async () => {
    using folder = tempFolder()
    const { cache, root } = await openCache(folder.path)
    await cache.use(keyOf('a'))
    const [own] = readdirSync(join(root, 'uses')) as [string]
    const gone = own.replace(/\.\d+$/, '.1')
    const elsewhere = `${keyOf('b')}.elsewhere.1.1`
    const old = `${keyOf('c')}.elsewhere.1.1`
    for (const name of [gone, elsewhere, old]) writeFileSync(join(root, 'uses', name), '')
    utimesSync(join(root, 'uses', old), 1, 1)
    await openCache(folder.path)
    expect(readdirSync(join(root, 'uses')).sort()).toEqual([own, elsewhere].sort())
    await cache.leave(keyOf('a'))
  })

  it('loses records that nobody has used for a month, and what interrupted writes have left', async () => {
    using folder = tempFolder()
    const { cache, root } = await openCache(folder.path)
    const source = join(folder.path, 'm.onnx')
    writeFileSync(source, 'model')
    const daysAgo = (days: number): number => Date.now() / 1000 - days * 86_400
    const probed = { signature: { inputs: [], outputs: [] }, emptyAxes: { fatal: [], answered: [] } }
    for (const name of ['a', 'b']) await cache.saveProbe(keyOf(name), probed)
    const { stampOf } = await import('../../../../src/artifacts/cache/file-stamp.js')
    const { text } = await stampOf(source)
    await cache.saveDigest(source, [{ path: source, name: '', sha256: hashOf(source), stamp: text }])
    const [record] = readdirSync(join(root, 'files')) as [string]
    for (const path of [join('probes', keyOf('a')), join('probes', keyOf('b')), join('files', record)]) {
      utimesSync(join(root, path), daysAgo(31), daysAgo(31))
    }
    writeFileSync(join(root, 'probes', `${keyOf('c')}.unfinished`), '')
    utimesSync(join(root, 'probes', `${keyOf('c')}.unfinished`), daysAgo(2), daysAgo(2))
    // Used now.
    await cache.probe(keyOf('a'))
    await openCache(folder.path)
    expect(readdirSync(join(root, 'probes'))).toEqual([keyOf('a')])
    expect(readdirSync(join(root, 'files'))).toEqual([])
  })

  it.runIf(process.getuid?.() === 0)('is none that another user owns', async () => {
    using folder = tempFolder()
    const { root } = await openCache(folder.path)
    for (const path of [root, join(root, 'entries')]) {
      chownSync(path, 12345, 0)
      await expect(openCache(folder.path)).rejects.toThrow(/belongs to another user \(12345/)
      chownSync(path, 0, 0)
    }
    await openCache(folder.path)
  })

  it.runIf(process.platform !== 'win32')('is none that others may write', async () => {
    using folder = tempFolder()
    const { root } = await openCache(folder.path)
    // A volume for everybody is the rule in containers; what lies in it is not.
    chmodSync(folder.path, 0o777)
    await openCache(folder.path)
    for (const path of [root, join(root, 'probes')]) {
      chmodSync(path, 0o777)
      await expect(openCache(folder.path)).rejects.toThrow(/is writable by other users/)
      chmodSync(path, 0o700)
    }
  })

  it('says why it cannot be used', async () => {
    using folder = tempFolder()
    const path = join(folder.path, 'a-file')
    writeFileSync(path, '')
    await expect(openCache(path)).rejects.toMatchObject({ code: 'ENOTDIR' })
  })
})

describe('what a file is known to hold', () => {
  it('is forgotten when one of the files of the model changes', async () => {
    using folder = tempFolder()
    const { cache } = await openCache(join(folder.path, 'cache'))
    const source = join(folder.path, 'm.onnx')
    const data = join(folder.path, 'm.data')
    writeFileSync(source, 'model')
    writeFileSync(data, 'data')
    const { stampOf } = await import('../../../../src/artifacts/cache/file-stamp.js')
    const files = await Promise.all(
      [source, data].map(async (path) => ({
        path,
        name: '',
        sha256: hashOf(path),
        stamp: (await stampOf(path)).text,
      })),
    )
    expect(await cache.digest(source)).toBeUndefined()
    await cache.saveDigest(source, files)
    expect(await cache.digest(source)).toMatchObject(files)
    writeFileSync(data, 'other')
    expect(await cache.digest(source)).toBeUndefined()
  })
})
