import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { modelPath } from '../../models/catalogue.js'
import * as graphs from '../../models/synthetic/graphs.js'
import { endOfTheProcess } from '../../models/synthetic/hostile-graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { type ChildResult, messageOf, runChild, startChild, tries } from '../support/run-child.js'

const models = tempRepository({
  answer: { '1': graphs.constantAnswer(1) },
  crasher: { '1': endOfTheProcess() },
  big: { '1': graphs.bigLoad(8), '2': graphs.bigLoad(12), '3': graphs.bigLoad(48) },
})
afterAll(() => models.dispose())
const big = (version: string): string => models.path('big', version)

/** Who may start a process as another user. */
const isRoot = process.platform === 'linux' && process.getuid?.() === 0
const isRunning = (pid: number): boolean => existsSync(`/proc/${pid}`)

describe('a file that is the end of the process that loads it', () => {
  const loadTwice = async (folder: string, input: object, probed: boolean) => {
    const guard = probed ? { probe: 'child' } : { probe: 'off', artifacts: 'off' }
    const cacheDir = join(folder, 'cache')
    return runChild('load-crasher.mjs', {
      input: { ...input, ...guard, answer: models.path('answer', '1'), cacheDir },
    })
  }

  const expectRefusals = (child: ChildResult, signal: string): void => {
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const { errors, answer } = messageOf(child, 'done')
    expect(answer).toBe('ok')
    const message = expect.stringContaining(`died of ${signal}; the model was rejected`)
    const refusal = expect.objectContaining({ code: 'ERR_MODEL_LOAD', message })
    expect(errors).toEqual([refusal, refusal])
  }

  it('is refused, and the host serves on', async () => {
    using folder = tempFolder()
    const input = { crasher: models.path('crasher', '1'), dims: [1] }
    const unprobed = await loadTwice(folder.path, input, false)
    expect(unprobed).toMatchObject({ code: null, signal: 'SIGABRT' })
    expectRefusals(await loadTwice(folder.path, input, true), 'SIGABRT')
  })

  it('is found out on the machine it serves on: prepacked, PP-OCR ends processes on some', async () => {
    using folder = tempFolder()
    const written = await runChild('write-prepacked.mjs', {
      input: { source: modelPath('ocr-rec', '4'), folder: folder.path },
    })
    expect(written).toMatchObject({ code: 0, signal: null })
    const input = {
      crasher: join(folder.path, 'model.onnx'),
      dims: [1, 3, 48, 64],
      sessionOptions: { graphOptimizationLevel: 'disabled' },
    }
    const unprobed = await loadTwice(folder.path, input, false)
    const probed = await loadTwice(folder.path, input, true)
    if (unprobed.signal !== null) return expectRefusals(probed, unprobed.signal)
    for (const child of [unprobed, probed]) {
      expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
      expect(messageOf(child, 'done')).toMatchObject({ errors: [null, null], answer: 'ok' })
    }
  })
})

describe('a form that is the end of the builder', () => {
  it.each([
    ['prepacked', 'external'],
    ['prepacked external', 'original'],
  ])('is left out, and the next one serves: %s', async (deadly, form) => {
    using folder = tempFolder()
    const child = await runChild('load-with-cache.mjs', {
      input: { cacheDir: folder.path, sources: [big('1'), big('1')], builderEntry: 'dies-on-form.mjs' },
      env: { DEADLY_FORMS: deadly },
    })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const { forms, answers, errors } = messageOf(child, 'done')
    expect({ forms, errors }).toEqual({ forms: [form, form], errors: [] })
    const plain = await runChild('load-with-cache.mjs', { input: { sources: [big('1')], artifacts: 'off' } })
    const [expected] = messageOf(plain, 'done').answers as unknown[]
    expect(answers).toEqual([expected, expected])
  })
})

describe('a builder', () => {
  it('that is killed at any moment costs nothing but its artifact', async () => {
    using folder = tempFolder()
    const count = 4 * tries
    const delaysMs = Array.from({ length: count }, (_, index) =>
      Math.round(((index + Math.random()) / count) * 500),
    )
    const child = await runChild('kill-builders.mjs', {
      input: { source: big('1'), folder: folder.path, delaysMs },
      limitMs: 110_000,
    })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const done = messageOf(child, 'done')
    expect(done).toMatchObject({ errors: [], answers: 1, counts: { loads: count } })
    const { killed, original, prepacked } = done.counts as Record<string, number>
    expect((original as number) + (prepacked as number)).toBe(count)
    expect(killed).toBeGreaterThan(0)
  })

  it.each([
    ['exit', { code: 3, signal: null }],
    ['throw', { code: 1, signal: null }],
  ])('ends with its parent: %s', async (end, ending) => {
    using folder = tempFolder()
    for (const step of ['load', 'original', 'prepacked']) {
      const input = { source: big('3'), cacheDir: join(folder.path, step), step, end }
      const child = await runChild('end-while-building.mjs', { input })
      expect(child).toMatchObject(ending)
      const { pid } = messageOf(child, 'building')
      await expect.poll(() => isRunning(pid as number), { timeout: 10_000 }).toBe(false)
    }
  })

  it.runIf(process.platform === 'linux')(
    'ends with a parent that is killed, in the middle of native code',
    async () => {
      using folder = tempFolder()
      for (const step of ['load', 'original', 'prepacked']) {
        const input = { source: big('3'), cacheDir: join(folder.path, step), step }
        const child = startChild('end-while-building.mjs', { input })
        const { pid } = await child.message('building')
        child.kill('SIGKILL')
        await child.result
        // Not only when it comes back to JavaScript.
        await expect.poll(() => isRunning(pid as number), { timeout: 10_000, interval: 5 }).toBe(false)
      }
    },
  )
})

describe('a cache', () => {
  it('that two processes fill at the same time has every artifact once', async () => {
    using folder = tempFolder()
    const sources = [big('1'), big('2')]
    const children = await Promise.all(
      [sources, [...sources].reverse()].map((order) =>
        runChild('load-with-cache.mjs', { input: { cacheDir: folder.path, sources: order } }),
      ),
    )
    for (const child of children) expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const done = children.map((child) => messageOf(child, 'done'))
    for (const each of done) {
      expect(each).toMatchObject({ forms: ['prepacked', 'prepacked'], errors: [], warnings: [] })
    }
    const [one, other] = done.map(({ answers }) => answers as unknown[])
    expect(one?.toReversed()).toEqual(other)
    expect(done.reduce((sum, { built }) => sum + (built as number), 0)).toBe(2)
    expect(readdirSync(join(folder.path, 'v1', 'tmp'))).toEqual([])
  })

  it.runIf(canMount())('on a disk that is full has models served as they are, with one warning', async () => {
    using folder = tempFolder()
    const disk = join(folder.path, 'disk')
    mkdirSync(disk)
    for (const size of ['64k', '1m', '20m']) {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk])
      try {
        const child = await runChild('load-with-cache.mjs', {
          input: { cacheDir: join(disk, 'cache'), sources: [big('1'), big('2')] },
        })
        expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
        const done = messageOf(child, 'done')
        expect(done).toMatchObject({ forms: ['original', 'original'], errors: [] })
        expect(done.warnings).toHaveLength(1)
        expect(readdirSync(join(disk, 'cache', 'v1', 'tmp'))).toEqual([])
      } finally {
        execFileSync('umount', [disk])
      }
    }
  })

  it.runIf(canMount())('on a disk that others fill up during a build refuses no model', async () => {
    using folder = tempFolder()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100m', 'tmpfs', folder.path])
    try {
      const child = await runChild('load-on-filling-disk.mjs', {
        input: { disk: folder.path, source: big('1') },
      })
      expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
      const done = messageOf(child, 'done')
      expect(done).toMatchObject({ form: 'original', answers: 1024, isFilled: true })
      expect(done.warnings).toHaveLength(1)
      // Nothing is kept of it, which would be believed when there is room again.
      expect(readdirSync(join(folder.path, 'cache', 'v1', 'entries'))).toEqual([])
    } finally {
      execFileSync('umount', [folder.path])
    }
  })

  it.runIf(process.platform !== 'win32')(
    'in which no file may be as large as an artifact has models served as they are',
    async () => {
      using folder = tempFolder()
      const child = await runChild('load-with-cache.mjs', {
        input: { cacheDir: folder.path, sources: [big('1'), big('2')] },
        within: ['bash', '-c', 'ulimit -f 3000; exec "$@"', '--'],
      })
      expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
      const done = messageOf(child, 'done')
      expect(done).toMatchObject({ forms: ['original', 'original'], errors: [] })
      expect(done.warnings).toHaveLength(1)
      for (const name of ['entries', 'tmp']) expect(readdirSync(join(folder.path, 'v1', name))).toEqual([])
    },
  )

  it.runIf(isRoot).each([
    ['has no entry in the list of users, nor a home', ['env', '-u', 'HOME', '-u', 'XDG_CACHE_HOME']],
    ['has an empty home', ['env', '-u', 'XDG_CACHE_HOME', 'HOME=']],
    ['has a home that is not there', ['env', '-u', 'XDG_CACHE_HOME', 'HOME=/nonexistent']],
  ])('of a user that %s is none, and models are served as they are', async (_, command) => {
    using folder = tempFolder()
    chmodSync(folder.path, 0o755)
    const source = join(folder.path, 'model.onnx')
    copyFileSync(big('1'), source)
    const child = await runChild('load-with-cache.mjs', {
      input: { sources: [source, source] },
      within: ['setpriv', '--reuid', '123456', '--regid', '123456', '--clear-groups', ...command],
    })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const done = messageOf(child, 'done')
    expect(done).toMatchObject({ forms: ['original', 'original'], errors: [] })
    expect(done.warnings).toHaveLength(1)
  })

  it.runIf(canMount())('that cannot be written is used as far as it is filled', async () => {
    using folder = tempFolder()
    const cacheDir = join(folder.path, 'cache')
    const input = { cacheDir, sources: [big('1')] }
    expect(messageOf(await runChild('load-with-cache.mjs', { input }), 'done')).toMatchObject({ built: 1 })
    execFileSync('mount', ['--bind', '-o', 'ro', cacheDir, cacheDir])
    try {
      const child = await runChild('load-with-cache.mjs', {
        input: { cacheDir, sources: [big('1'), big('2')] },
      })
      expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
      const done = messageOf(child, 'done')
      expect(done).toMatchObject({ forms: ['prepacked', 'original'], errors: [], built: 0 })
      expect(done.warnings).toEqual([expect.objectContaining({ code: 'EROFS' })])
    } finally {
      execFileSync('umount', [cacheDir])
    }
  })
})

/** Whether this user may: in a container that is root he often may not. */
function canMount(): boolean {
  using folder = tempFolder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', folder.path], { stdio: 'ignore' })
    execFileSync('umount', [folder.path])
    return true
  } catch {
    return false
  }
}
