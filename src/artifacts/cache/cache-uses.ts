import { readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock, Timer } from '../../platform/clock.js'
import { mayBeAlive, ownIdentity } from '../../platform/process-identity.js'
import { processWide } from '../../platform/process-wide.js'

/** Time after its last write for which a mark counts if its process cannot be seen from here. */
const BELIEVED_MS = 7 * 86_400_000
/** Interval at which the marks of this process are written again. */
const RENEWAL_MS = 86_400_000

interface Marks {
  /** Number of uses of each mark of this process, by its path: runtimes may share a cache. */
  readonly counts: Map<string, number>
  /** The work under way on each mark. */
  readonly turns: Map<string, Promise<void>>
}

function sharedMarks(): Marks {
  return processWide('cache-uses', () => ({ counts: new Map(), turns: new Map() }))
}

/** Marks entries of a cache as in use, for other processes to see, by one file for each: `<key>.<process>`. */
export class CacheUses {
  readonly #clock: Clock
  readonly #folder: string
  /** Number of uses that began through this object. */
  #uses = 0
  #renewal: Timer | undefined

  constructor(clock: Clock, folder: string) {
    this.#clock = clock
    this.#folder = folder
  }

  async join(key: string): Promise<void> {
    const { counts } = sharedMarks()
    const mark = this.#mark(key)
    const count = counts.get(mark) ?? 0
    counts.set(mark, count + 1)
    this.#uses += 1
    this.#renewal ??= this.#clock.setInterval(() => this.#renew(), RENEWAL_MS).unref()
    if (count === 0) await write(mark)
  }

  async leave(key: string): Promise<void> {
    const { counts } = sharedMarks()
    const mark = this.#mark(key)
    const count = counts.get(mark)
    if (count === undefined) return
    this.#uses -= 1
    if (this.#uses === 0) {
      this.#clock.clear(this.#renewal)
      this.#renewal = undefined
    }
    if (count > 1) {
      counts.set(mark, count - 1)
      return
    }
    counts.delete(mark)
    // Another use may have begun meanwhile.
    await inTurn(mark, async () => {
      if (!counts.has(mark)) await rm(mark, { force: true })
    })
  }

  /** Returns true if an entry is in use, here or elsewhere. Removes the marks of ended processes. */
  async isUsed(key: string): Promise<boolean> {
    const used = await this.sweep((other) => other === key)
    return used.has(key) || sharedMarks().counts.has(this.#mark(key))
  }

  /** Removes the marks of ended processes; returns the keys of the others. */
  async sweep(isMeant: (key: string) => boolean = () => true): Promise<ReadonlySet<string>> {
    const used = new Set<string>()
    for (const name of await readdir(this.#folder)) {
      const end = name.indexOf('.')
      const key = name.slice(0, end)
      if (end === -1 || !isMeant(key)) continue
      const path = join(this.#folder, name)
      if (await mayBeAlive(name.slice(end + 1), path, BELIEVED_MS, this.#clock.epoch())) used.add(key)
      else await rm(path, { force: true })
    }
    return used
  }

  #renew(): void {
    for (const mark of sharedMarks().counts.keys()) if (dirname(mark) === this.#folder) void write(mark)
  }

  #mark(key: string): string {
    return join(this.#folder, `${key}.${ownIdentity()}`)
  }
}

/** Writes a mark. A failure has no consequence: where nothing can be written, nothing can be removed either. */
function write(mark: string): Promise<void> {
  return inTurn(mark, async () => {
    if (sharedMarks().counts.has(mark)) await writeFile(mark, '')
  })
}

/** Does the work on one mark in order; failures are ignored. */
function inTurn(mark: string, work: () => Promise<void>): Promise<void> {
  const { turns } = sharedMarks()
  const turn = (turns.get(mark) ?? Promise.resolve()).then(work).catch(() => undefined)
  turns.set(mark, turn)
  void turn.then(() => {
    if (turns.get(mark) === turn) turns.delete(mark)
  })
  return turn
}
