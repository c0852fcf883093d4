import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { SHAPES } from '../../src/platform/process-wide.js'
import { checkReach, checkState, unusedExceptions } from '../support/rules/edge-rules.js'
import { checkImports, findCycles, type ImportMap, reachedFrom } from '../support/rules/import-rules.js'
import { type ImportKind, importsOf } from '../support/rules/import-scanner.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const maxLines = 320

function sourcesUnder(folder: string): string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .filter((file) => /\.c?ts$/.test(file))
    .sort()
}

const texts = new Map(
  ['src', 'workers']
    .flatMap(sourcesUnder)
    .map((file) => [file, readFileSync(`${root}${file}`, 'utf8')] as const),
)
const files: ImportMap = Object.fromEntries([...texts].map(([file, text]) => [file, importsOf(text)]))
/** The sources that run in the process of the application. */
const ours = new Map([...texts].filter(([file]) => file.startsWith('src/')))
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
const dependencies = new Set(
  ['dependencies', 'optionalDependencies', 'peerDependencies'].flatMap((key) =>
    Object.keys(manifest[key] ?? {}),
  ),
)

describe('the sources', () => {
  it('import by the table', () => {
    expect(checkImports(files, dependencies)).toEqual([])
  })

  it('have no import cycle', () => {
    expect(findCycles(files).map((cycle) => cycle.join(' -> '))).toEqual([])
  })

  it('let a replica run elsewhere than in a thread', () => {
    const reached = reachedFrom(files, 'workers/replica/replica-core.ts')
    expect(reached).toContain('workers/replica/task-loop.ts')
    for (const each of ['node:worker_threads', 'comlink', 'piscina']) expect(reached).not.toContain(each)
  })

  it('let pools know hosts that are no threads', () => {
    const reached = reachedFrom(files, 'src/hosts/replica-host.ts')
    for (const each of ['node:worker_threads', 'comlink', 'piscina']) expect(reached).not.toContain(each)
  })

  it(`have at most ${maxLines} lines a file`, () => {
    const long = [...texts]
      .map(([file, text]) => ({ file, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > maxLines)
    expect(long).toEqual([])
  })

  it('reach the machine and the process by ports, but for those at the edge', () => {
    expect([...ours].flatMap(([file, text]) => checkReach(file, text))).toEqual([])
  })

  it('keep no state in modules and classes, but for what lives with an object of others', () => {
    expect([...ours].flatMap(([file, text]) => checkState(file, text))).toEqual([])
  })

  it('need each exception from that', () => {
    expect(unusedExceptions(ours)).toEqual([])
  })

  it('use each part of the state of the process in one place, and all of them', () => {
    const used = [...ours].flatMap(([, text]) =>
      [...text.matchAll(/processWide\('([\w-]+)'/g)].map(([, part]) => part),
    )
    expect(used.sort()).toEqual(Object.keys(SHAPES).sort())
  })

  it('have kebab-case names', () => {
    expect([...texts.keys()].filter((file) => !/^[a-z0-9/.-]+$/.test(file))).toEqual([])
  })
})

/** Made-up files: `'src/a.ts': './b.js'` imports one thing, a list several. */
function made(map: Record<string, string | string[]>, kind: ImportKind = 'static'): ImportMap {
  return Object.fromEntries(
    Object.entries(map).map(([file, named]) => [
      file,
      [named].flat().map((specifier) => ({ specifier, kind })),
    ]),
  )
}

function problems(map: ImportMap, ...packages: string[]): string[] {
  return checkImports(map, new Set(packages))
}

describe('the checker', () => {
  it('lets a file import from its own row and from lower ones', () => {
    const map = made({
      'src/index.ts': ['./runtime.js', './http/server.js'],
      'src/http/server.ts': ['../errors.js', 'node:http'],
      'src/runtime.ts': ['./models/swap.js', './memory/budget.js'],
      'src/models/swap.ts': ['../lifecycle/states.js', '../pools/pool.js'],
      'src/lifecycle/state-machine.ts': '../errors.js',
      'src/pools/pool.ts': '../tensors/tensor.js',
      'src/memory/budget.ts': '../config.js',
      'src/tensors/tensor.ts': '../errors.js',
      'src/config/runtime-options.ts': './errors.js',
      'src/errors/errors.ts': [],
      'workers/replica.ts': ['../src/tensors/tensor.js', '../src/errors.js', './onnx-loader.js'],
      'workers/onnx/onnx-loader.ts': './onnxruntime.cjs',
      'workers/onnx/onnxruntime.cts': 'onnxruntime-node',
    })
    expect(problems(map, 'onnxruntime-node')).toEqual([])
    expect(findCycles(map)).toEqual([])
  })

  it.each([
    ['src/errors/errors.ts', '../src/tensors/tensor.js', 'src/tensors/tensor.ts'],
    ['src/tensors/tensor.ts', '../pools/pool.js', 'src/pools/pool.ts'],
    ['src/pools/pool.ts', '../models/swap.js', 'src/models/swap.ts'],
    ['src/models/swap.ts', '../runtime.js', 'src/runtime.ts'],
    ['src/runtime.ts', './index.js', 'src/index.ts'],
  ])('refuses that %s imports %s', (file, specifier, target) => {
    for (const kind of ['static', 'type', 'dynamic', 'url'] as const) {
      const map = { ...made({ [target]: [] }), ...made({ [file]: specifier }, kind) }
      expect(problems(map)).toEqual([`${file} -> ${target}: imports from a higher row`])
    }
  })

  it('refuses that workers import what only main needs', () => {
    const map = made({ 'workers/replica.ts': '../src/telemetry/logger.js', 'src/telemetry/logger.ts': [] })
    expect(problems(map)).toEqual([expect.stringContaining('workers may import')])
  })

  it('refuses that src imports workers, and lets it know two URLs', () => {
    const workers = { 'workers/a.ts': [], 'workers/b.ts': [], 'workers/c.ts': [] }
    const imported = made({ ...workers, 'src/pools/pool.ts': '../../workers/a.js' })
    expect(problems(imported)).toEqual([expect.stringContaining('src never imports workers')])
    const urls = ['../../workers/a.js', '../../workers/b.js']
    expect(problems(made({ ...workers, 'src/pools/pool.ts': urls }, 'url'))).toEqual([])
    const three = made({ ...workers, 'src/pools/pool.ts': [...urls, '../../workers/c.*'] }, 'url')
    expect(problems(three)).toEqual([expect.stringContaining('more than 2 worker URLs')])
  })

  it('refuses a file that has no row, and an import of what is not there', () => {
    expect(problems(made({ 'src/utils.ts': [] }))).toEqual(['src/utils.ts has no row in the table'])
    const gone = made({ 'src/runtime.ts': ['./gone.js', '../test/support/graphs.js'] })
    expect(problems(gone)).toHaveLength(2)
  })

  it.each([
    ['piscina', 'src/pools/version-pool.ts', 'src/hosts/piscina-host.ts'],
    ['comlink', 'workers/replica.ts', 'src/protocol/replica/control-port.ts'],
    ['onnxruntime-node', 'src/tensors/tensor.ts', 'workers/onnx/onnxruntime.cts'],
    ['pino', 'src/runtime.ts', 'src/telemetry/logger.ts'],
    ['fastify', 'src/runtime.ts', 'src/http/plugin.ts'],
    ['@fastify/static', 'src/runtime.ts', 'src/http/plugin.ts'],
    ['p-queue', 'src/pools/version-pool.ts', 'src/models/repository/repository.ts'],
    ['tarn', 'src/resources/pooled/pooled-resource.ts', 'src/resources/pooled/item-pool.ts'],
  ])('refuses %s in %s', (name, elsewhere, home) => {
    expect(problems(made({ [home]: name }), name)).toEqual([])
    expect(problems(made({ [elsewhere]: name }, 'type'), name)).toEqual([
      expect.stringContaining('its one home is'),
    ])
    expect(problems(made({ [elsewhere]: `${name}/part` }), name)).toHaveLength(1)
  })

  it('refuses koffi in a second file', () => {
    const map = { 'src/memory/malloc.ts': 'koffi' }
    expect(problems(made(map), 'koffi')).toEqual([])
    expect(problems(made({ ...map, 'src/pools/guard.ts': 'koffi' }), 'koffi')).toHaveLength(1)
  })

  it('refuses packages that are no dependency, and builtins without their prefix', () => {
    const map = made({ 'src/runtime.ts': ['lodash', 'tbcoin-engine', 'fs', '@types/node/fs'] })
    expect(problems(map)).toHaveLength(4)
  })

  it('finds cycles of any length, and of types', () => {
    expect(findCycles(made({ 'src/a.ts': './a.js' }))).toEqual([['src/a.ts']])
    const three = made({ 'src/a.ts': './b.js', 'src/b.ts': './c.js', 'src/c.ts': './b.js' }, 'type')
    expect(findCycles(three)).toEqual([['src/b.ts', 'src/c.ts']])
    expect(findCycles(made({ 'src/a.ts': './b.js', 'src/b.ts': './a.js' }, 'url'))).toEqual([])
  })
})

describe('what a file reaches', () => {
  it('is all that it imports, of types too, and what that imports in turn, but no URL', () => {
    const map: ImportMap = {
      ...made({ 'src/a.ts': ['./b.js', 'x'], 'src/c.ts': ['./a.js', 'z'] }),
      ...made({ 'src/b.ts': ['./c.js', 'y'] }, 'type'),
      ...made({ 'src/d.ts': './a.js' }, 'url'),
    }
    const all = ['src/a.ts', 'src/b.ts', 'src/c.ts', 'x', 'y', 'z']
    expect([...reachedFrom(map, 'src/b.ts')].sort()).toEqual(all)
    expect([...reachedFrom(map, 'src/d.ts')]).toEqual(['src/d.ts'])
  })
})

describe('the scanner', () => {
  it.each<[string, string, ImportKind]>([
    ["import a from 'x'", 'x', 'static'],
    ["import a, { b as c, type D } from 'x'", 'x', 'static'],
    ["import * as a from 'x'", 'x', 'static'],
    ["import 'x'", 'x', 'static'],
    ["import{a}from'x'", 'x', 'static'],
    ["import {\n  a,\n  // } from 'no'\n  b,\n} from 'x'", 'x', 'static'],
    ["import a from 'x' with { type: 'json' }", 'x', 'static'],
    ["import type { A } from 'x'", 'x', 'type'],
    ["import type A from 'x'", 'x', 'type'],
    ["import type from 'x'", 'x', 'static'],
    ["export { a, b as default } from 'x'", 'x', 'static'],
    ["export * as a from 'x'", 'x', 'static'],
    ["export type { A } from 'x'", 'x', 'type'],
    ["await import('x')", 'x', 'dynamic'],
    ["import(/* @vite-ignore */ 'x')", 'x', 'dynamic'],
    ['import(`x`)', 'x', 'dynamic'],
    ["type A = import('x').A", 'x', 'dynamic'],
    ["require('x')", 'x', 'dynamic'],
    ["createRequire(import.meta.url)('x')", 'x', 'dynamic'],
    ["new URL('./x.js', import.meta.url)", './x.js', 'url'],
    ["import.meta.resolve('x')", 'x', 'url'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    ["new URL(`./x.${a ? 'ts' : 'js'}`, import.meta.url)", './x.*', 'url'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    ["const a = `${await import('x')} import 'no'`", 'x', 'dynamic'],
    ["const r = /'/; import('x')", 'x', 'dynamic'],
    ["const half = (a + b) / 2; import('x') // it's / fine", 'x', 'dynamic'],
  ])('finds the one import of %s', (source, specifier, kind) => {
    expect(importsOf(`${source}\nconst after = 1\n`)).toEqual([{ specifier, kind }])
  })

  it.each([
    "// import 'no'",
    "/** import { a } from 'no' */",
    'const text = "import \'no\'"',
    "const text = `import 'no'`",
    "export const from = 'no'",
    "export { a }\nconst from = 'no'",
    "export { a }; export default 'no'",
    "export type A = 'no'",
    "schema.import('no')",
    "const r = /import 'no'/",
  ])('finds none in %s', (source) => {
    expect(importsOf(source)).toEqual([])
  })
})

describe('the checker of the edge', () => {
  it.each([
    ['time', 'const at = performance.now()'],
    ['time', '  this.#timer = setTimeout(run, 5)'],
    ['time', 'clearTimeout(timer)'],
    ['time', 'process.nextTick(run)'],
    ['time', 'const now = new Date()'],
    ['time', "import { setTimeout as sleep } from 'node:timers/promises'"],
    ['time', 'new MemoryMeter(systemClock)'],
    ['chance', 'const wait = Math.random() * 5'],
    ['chance', 'const id = randomUUID()'],
    ['threads', 'this.#worker = new Worker(entry)'],
    ['threads', 'this.#pool = new Piscina({'],
    ['other processes', "import { type ChildProcess, fork } from 'node:child_process'"],
    ['the machine', "import { cpus } from 'node:os'"],
    ['the machine', "readFileSync('/proc/self/status')"],
    ['the machine', "join(root, 'proc/self/cgroup')"],
    ['the machine', 'const limit = process.constrainedMemory()'],
    ['the environment', 'const home = process.env.HOME'],
    ['what the process shares', "process.on('exit', end)"],
    ['what the process shares', 'globalThis.known = known'],
  ])('finds %s in %s', (what, line) => {
    expect(checkReach('src/models/x.ts', `const a = 1\n${line}\n`)).toEqual([
      `src/models/x.ts: ${what}: ${line.trim()}`,
    ])
  })

  it.each([
    'const at = this.#clock.now()',
    'clock.setTimeout(run, 5)',
    'new Date(clock.epoch())',
    'new PiscinaHost(options)',
    'const wait = random() * 5',
    "import type { ChildProcess } from 'node:child_process'",
    '// not setTimeout(run)',
    ' * by performance.now()',
  ])('lets %s be', (line) => {
    expect(checkReach('src/models/x.ts', line)).toEqual([])
  })

  it('lets a file at the edge do what it is there for, and nothing else', () => {
    const line = 'performance.now() + Math.random()'
    expect(checkReach('src/platform/clock.ts', line)).toEqual([`src/platform/clock.ts: chance: ${line}`])
    expect(checkReach('src/platform/random.ts', line)).toEqual([`src/platform/random.ts: time: ${line}`])
  })

  it('finds exceptions that are not needed', () => {
    const without = new Map([...ours].filter(([file]) => file !== 'src/platform/random.ts'))
    expect(unusedExceptions(without)).toEqual(['src/platform/random.ts: chance'])
  })
})

describe('the checker of state', () => {
  it.each([
    'let known: string | undefined',
    'export let count = 0',
    'const running = new Set<ChildProcess>()',
    'export const known: Map<string, number> = new Map()',
    'const byObject = new WeakMap<object, string>()',
    'const queue: string[] = []',
    'const cache: Record<string, string> = {}',
    "const marks = processWide('cache-uses', () => new Map())",
    '  static count = 0',
    '  static #threads: Thread[] = []',
    '  private static known: string | undefined',
    '  static readonly all = new Set<string>()',
  ])('finds %s', (line) => {
    expect(checkState('src/models/x.ts', line)).toEqual([`src/models/x.ts: ${line.trim()}`])
  })

  it.each([
    "const NAMES: ReadonlySet<string> = new Set(['a'])",
    "const LEVELS = ['info'] as const",
    'const options = z.strictObject({})',
    '  let count = 0',
    '  readonly #running = new Set<Replica>()',
    '  static create(options: Options): Runtime {',
    '  static async create(): Promise<Runtime> {',
    '    static readonly code = code',
  ])('lets %s be', (line) => {
    expect(checkState('src/models/x.ts', line)).toEqual([])
  })
})
