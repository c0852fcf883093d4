import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bigLoad, constantAnswer } from '../../models/synthetic/graphs.js'
import { squaresUntilFive } from '../../models/synthetic/hostile-graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { BuilderDeath } from '../../src/artifacts/builder/builder-failure.js'
import { BuilderProcess } from '../../src/artifacts/builder/builder-process.js'
import type { BuilderLimits } from '../../src/artifacts/builder/converse.js'
import { systemClock } from '../../src/platform/clock.js'
import type { BuilderOrder } from '../../src/protocol/builder/builder-messages.js'
import { TestClock } from '../../src/testing/test-clock.js'
import { processParts } from '../support/process-parts.js'

const folder = tempFolder()
afterAll(() => folder[Symbol.dispose]())

const entry = {
  path: fileURLToPath(new URL('../../dist/workers/artifact-builder.js', import.meta.url)),
  node: { path: process.execPath },
  execArgv: [],
  env: process.env,
}
let builder: BuilderProcess
beforeEach(() => {
  builder = new BuilderProcess(systemClock, entry)
})
afterEach(() => builder.close())

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder.path, name)
  writeFileSync(path, bytes)
  return path
}

const sound = file('sound.onnx', constantAnswer(1))
const endless = file('endless.onnx', squaresUntilFive())
const large = file('large.onnx', bigLoad(96))

const unlimited: BuilderLimits = { timeoutMs: 0, maxBytes: Number.POSITIVE_INFINITY }
const probe = (source: string): BuilderOrder => ({
  kind: 'probe',
  model: 'm',
  version: '1',
  source,
  sessionOptions: { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 },
  fatal: [],
})
const hash: BuilderOrder = { kind: 'hash', files: [sound] }

/** Returns the error with which a builder dies during `order`. */
async function deathOver(order: BuilderOrder, limits: Partial<BuilderLimits>): Promise<BuilderDeath> {
  const error = await builder.run(order, { ...unlimited, ...limits }).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(BuilderDeath)
  return error as BuilderDeath
}

/** Returns the processes of all builders of this process. */
function running(): ReadonlySet<ChildProcess> {
  return (processParts()['builders/1'] as { running: Set<ChildProcess> }).running
}

describe('a builder process', () => {
  it('is ended after two seconds without a task', async () => {
    const clock = new TestClock()
    builder = new BuilderProcess(clock, entry)
    expect(await builder.run(hash, unlimited)).toMatchObject({ ok: true })
    await clock.advance(1_999)
    expect(await builder.run(hash, unlimited)).toMatchObject({ ok: true })
    const [child] = [...running()] as [ChildProcess]
    await clock.advance(1_999)
    expect([...running()]).toEqual([child])
    const gone = once(child, 'exit')
    await clock.advance(1)
    expect(await gone).toEqual([null, 'SIGKILL'])
    expect(clock.pending).toBe(0)
  })

  it('completes tasks beside any number of tasks that never end', async () => {
    const hung = Array.from({ length: 3 }, () =>
      builder.run(probe(endless), unlimited).catch((error: unknown) => error),
    )
    expect(await builder.run(hash, unlimited)).toMatchObject({ ok: true })
    expect(await builder.run(probe(sound), unlimited)).toMatchObject({ ok: true })
    builder.close()
    for (const each of hung) expect(await each).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    await expect(builder.run(hash, unlimited)).rejects.toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
  })

  it('is ended by a task that exceeds its timeout, and a new one completes the next task', async () => {
    const death = await deathOver(probe(endless), { timeoutMs: 2_000 })
    expect(death).toMatchObject({ kind: 'limit', message: 'it did not return within 2000 ms' })
    expect(await builder.run(hash, unlimited)).toMatchObject({ ok: true })
  })

  it('is ended by a step that exceeds the timeout of that step, and the error names the step', async () => {
    const death = await deathOver(probe(endless), { stepTimeoutMs: { load: 60_000, run: 50 } })
    const message = 'it did not return from the step "run" within 50 ms'
    expect(death).toMatchObject({ kind: 'limit', step: 'run', message })
    expect(death.signature?.inputs).toHaveLength(1)
  })

  it.runIf(existsSync('/proc/self/status'))(
    'applies the memory limit of each task to that task alone',
    async () => {
      // Its process holds much memory afterwards, which must not count for the next task.
      expect(await builder.run(probe(large), unlimited)).toMatchObject({ ok: true })
      const limits = { ...unlimited, maxBytes: 2 ** 27 }
      for (const order of [hash, probe(sound)]) {
        expect(await builder.run(order, limits)).toMatchObject({ ok: true })
      }
      const death = await deathOver(probe(endless), { maxBytes: 2 ** 20 })
      expect(death).toMatchObject({ kind: 'limit', message: 'it took more than 1 MiB of memory' })
    },
  )

  it('adds no listeners to the host, however many tasks it completes', async () => {
    const listeners = process.listenerCount('exit')
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    for (let count = 0; count < 24; count++) await builder.run(hash, unlimited)
    builder.close()
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', note)
    expect(warnings).toEqual([])
    expect(process.listenerCount('exit')).toBe(listeners)
  })
})
