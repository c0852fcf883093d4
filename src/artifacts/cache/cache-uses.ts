import { readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock, Timer } from '../../platform/clock.js'
import { mayBeAlive, ownIdentity } from '../../platform/process-identity.js'
import { processWide } from '../../platform/process-wide.js'

/** The mark of a process that cannot be seen from here is believed for this time. */
const BELIEVED_MS = 7 * 86_400_000
const RENEWAL_MS = 86_400_000

interface Marks {
  /** Counts the needs of each mark of this process, by its path: runtimes may share a cache. */
  readonly counts: Map<string, number>
  /** Holds the work under way on each mark. */
  readonly turns: Map<string, Promise<void>>
}

function sharedMarks(): Marks {
  return processWide('cache-uses', () => ({ counts: new Map(), turns: new Map() }))
}

/** Which entries of a cache are in use, told to other processes by a file each: `<key>.<process>`. */
export class CacheUses {
  readonly #clock: Clock
  readonly #folder: string
  /** Counts the needs that came by this object. */
  #needs = 0
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
    this.#needs += 1
    this.#renewal ??= this.#clock.setInterval(() => this.#renew(), RENEWAL_MS).unref()
    if (count === 0) await write(mark)
  }

  async leave(key: string): Promise<void> {
    const { counts } = sharedMarks()
    const mark = this.#mark(key)
    const count = counts.get(mark)
    if (count === undefined) return
    this.#needs -= 1
    if (this.#needs === 0) {
      this.#clock.clear(this.#renewal)
      this.#renewal = undefined
    }
    if (count > 1) {
      counts.set(mark, count - 1)
      return
    }
    counts.delete(mark)
    // Unless somebody has joined meanwhile.
    await inTurn(mark, async () => {
      if (!counts.has(mark)) await rm(mark, { force: true })
    })
  }

  /** Whether an entry is in use, here or elsewhere. Removes the marks of processes that are gone. */
  async isUsed(key: string): Promise<boolean> {
    const used = await this.sweep((other) => other === key)
    return used.has(key) || sharedMarks().counts.has(this.#mark(key))
  }

  /** Removes the marks of processes that are gone; returns the keys of the others. */
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

/** Where nothing can be written, nothing can be removed either. */
function write(mark: string): Promise<void> {
  return inTurn(mark, async () => {
    if (sharedMarks().counts.has(mark)) await writeFile(mark, '')
  })
}

/** One after another; what fails has no consequence. */
function inTurn(mark: string, work: () => Promise<void>): Promise<void> {
  const { turns } = sharedMarks()
  const turn = (turns.get(mark) ?? Promise.resolve()).then(work).catch(() => undefined)
  turns.set(mark, turn)
  void turn.then(() => {
    if (turns.get(mark) === turn) turns.delete(mark)
  })
  return turn
}
