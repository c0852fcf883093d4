import { readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { SHAPES } from '../../src/platform/process-wide.js'
import { checkReach, checkState, unusedExceptions } from '../support/rules/edge-rules.js'
import { checkImports, type ImportMap, mutualFolders, reachedFrom } from '../support/rules/import-rules.js'
import { type ImportKind, importsOf } from '../support/rules/imports-of.js'
import { misnamed } from '../support/rules/name-rules.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const maxLines = 320
const maxFiles = 12

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
  it('import only what the table of import rules allows', () => {
    expect(checkImports(files, dependencies)).toEqual([])
  })

  it('contain no two folders that import each other', () => {
    expect(mutualFolders(files)).toEqual([])
  })

  it('let replica code run without worker threads', () => {
    const reached = reachedFrom(files, 'workers/replica/replica-core.ts')
    expect(reached).toContain('workers/replica/task-loop.ts')
    for (const each of ['node:worker_threads', 'comlink', 'piscina']) expect(reached).not.toContain(each)
  })

  it('let pools use hosts that are not threads', () => {
    const reached = reachedFrom(files, 'src/hosts/replica-host.ts')
    for (const each of ['node:worker_threads', 'comlink', 'piscina']) expect(reached).not.toContain(each)
  })

  it("give users' tests a runtime that loads neither threads nor native code", () => {
    const values = Object.fromEntries(
      Object.entries(files).map(([file, refs]) => [file, refs.filter(({ kind }) => kind !== 'type')]),
    )
    const reached = reachedFrom(values, 'src/testing/index.ts')
    expect(reached).toContain('src/pools/version-pool.ts')
    for (const each of ['piscina', 'comlink', 'koffi', 'onnxruntime-node'])
      expect(reached).not.toContain(each)
    for (const each of ['src/platform/libc.ts', 'src/hosts/piscina-host.ts', 'src/artifacts/artifacts.ts'])
      expect(reached).not.toContain(each)
  })

  it(`have at most ${maxLines} lines in each file`, () => {
    const long = [...texts]
      .map(([file, text]) => ({ file, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > maxLines)
    expect(long).toEqual([])
  })

  it('reach the machine and the process only through ports, except in the files listed for that', () => {
    expect([...ours].flatMap(([file, text]) => checkReach(file, text))).toEqual([])
  })

  it('keep no state in modules or classes, except in the places listed for that', () => {
    expect([...ours].flatMap(([file, text]) => checkState(file, text))).toEqual([])
  })

  it('need each listed exception', () => {
    expect(unusedExceptions(ours)).toEqual([])
  })

  it('use each part of the process-wide state in exactly one place', () => {
    const used = [...ours].flatMap(([, text]) =>
      [...text.matchAll(/processWide\('([\w-]+)'/g)].map(([, part]) => part),
    )
    expect(used.sort()).toEqual(Object.keys(SHAPES).sort())
  })

  it('have kebab-case file names that match what they export', () => {
    expect([...texts.keys()].filter((file) => !/^[a-z0-9/.-]+$/.test(file))).toEqual([])
    expect(misnamed(texts)).toEqual([])
  })

  it(`have at most ${maxFiles} files in each folder`, () => {
    const folders = [...texts.keys()].map((file) => dirname(file))
    const full = folders.filter((folder) => folders.filter((each) => each === folder).length > maxFiles)
    expect([...new Set(full)]).toEqual([])
  })
})

/** Returns made-up files: `'src/a.ts': './b.js'` imports one file, a list several. */
function importMap(map: Record<string, string | string[]>, kind: ImportKind = 'static'): ImportMap {
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

describe('the rules of imports', () => {
  it('allow imports from the own row and from lower rows', () => {
    const map = importMap({
      'src/index.ts': ['./runtime.js', './http/server.js'],
      'src/http/server.ts': ['../errors/errors.js', 'node:http'],
      'src/runtime.ts': ['./models/swap.js', './memory/budget.js'],
      'src/models/swap.ts': ['../lifecycle/states.js', '../pools/pool.js', './context/lane.js'],
      'src/models/context/lane.ts': [],
      'src/lifecycle/states.ts': '../errors/errors.js',
      'src/pools/pool.ts': '../tensors/tensor.js',
      'src/memory/budget.ts': '../errors/errors.js',
      'src/tensors/tensor.ts': '../errors/errors.js',
      'src/errors/errors.ts': [],
      'workers/replica.ts': ['../src/tensors/tensor.js', './onnx/onnxruntime.cjs'],
      'workers/onnx/onnxruntime.cts': 'onnxruntime-node',
    })
    expect(problems(map, 'onnxruntime-node')).toEqual([])
    expect(mutualFolders(map)).toEqual([])
  })

  it.each<[string, ImportMap, RegExp]>([
    [
      'a higher row',
      importMap({ 'src/tensors/a.ts': '../pools/b.js', 'src/pools/b.ts': [] }),
      /from a higher row$/,
    ],
    [
      'a higher row inside the same folder',
      importMap({ 'src/models/context/a.ts': '../registry/b.js', 'src/models/registry/b.ts': [] }, 'type'),
      /from a higher row$/,
    ],
    [
      'a module of the main thread in a worker',
      importMap({ 'workers/replica.ts': '../src/telemetry/a.js', 'src/telemetry/a.ts': [] }),
      /workers may import/,
    ],
    [
      'a worker in src',
      importMap({ 'src/pools/a.ts': '../../workers/b.js', 'workers/b.ts': [] }),
      /src never imports workers/,
    ],
    [
      'a third entry of workers',
      {
        ...importMap({ 'workers/a.ts': [], 'workers/b.ts': [], 'workers/c.ts': [] }),
        ...importMap({ 'src/hosts/a.ts': ['a', 'b', 'c'].map((name) => `../../workers/${name}.js`) }, 'url'),
      },
      /more than 2 worker URLs/,
    ],
    ['a folder without a row', importMap({ 'src/utils.ts': [] }), /has no row/],
    ['a file that does not exist', importMap({ 'src/runtime.ts': './gone.js' }), /no such file/],
    ['a package outside of its one home', importMap({ 'src/runtime.ts': 'pino' }, 'type'), /its one home is/],
    [
      'a plugin outside of its one home',
      importMap({ 'src/runtime.ts': '@fastify/static' }),
      /its one home is/,
    ],
    [
      'koffi in a second file',
      importMap({ 'src/memory/a.ts': 'koffi', 'src/pools/b.ts': 'koffi' }),
      /koffi is used in more than one file/,
    ],
    ['a package that is no dependency', importMap({ 'src/runtime.ts': 'lodash' }), /not a dependency/],
    ['a builtin without its prefix', importMap({ 'src/runtime.ts': 'fs' }), /write node:fs/],
  ])('refuse %s', (_, map, problem) => {
    expect(problems(map, 'pino', '@fastify/static', 'koffi')).toEqual([expect.stringMatching(problem)])
  })

  it('refuse two folders that import each other, also by type imports, but not by URL', () => {
    const map = {
      'src/models/a.ts': '../pools/b.js',
      'src/pools/c.ts': '../models/d.js',
      'src/models/d.ts': [],
    }
    expect(mutualFolders(importMap(map, 'type'))).toEqual(['src/models <-> src/pools'])
    expect(mutualFolders(importMap(map, 'url'))).toEqual([])
  })
})

describe('the imports of a file', () => {
  it('are found in every syntax', () => {
    const source = [
      "import a, { b as c, type D } from 'a'",
      "import * as e from 'b'",
      "import 'c'",
      "import {\n  f,\n} from 'd'",
      "import type { G } from 'e'",
      "export { h } from 'f'",
      "export type * from 'g'",
      "const i = await import('h')",
      "createRequire(import.meta.url)('i')",
      "new URL('./j.js', import.meta.url)",
      "/** import { k } from 'no' */",
      "// require('no')",
      'const text = "new URL(\'no\')"',
      'export { l }',
      "const m = 'no'",
    ].join('\n')
    const named = importsOf(source).map(({ specifier, kind }) => `${specifier} ${kind}`)
    expect(named).toEqual(
      ['a static', 'b static', 'c static', 'd static', 'e type', 'f static', 'g type'].concat([
        'h dynamic',
        'i dynamic',
        './j.js url',
      ]),
    )
  })

  it('are followed through type imports, but not through URLs', () => {
    const map: ImportMap = {
      ...importMap({ 'src/a.ts': ['./b.js', 'x'], 'src/c.ts': ['./a.js', 'z'] }),
      ...importMap({ 'src/b.ts': ['./c.js', 'y'] }, 'type'),
      ...importMap({ 'src/d.ts': './a.js' }, 'url'),
    }
    expect([...reachedFrom(map, 'src/b.ts')].sort()).toEqual([
      'src/a.ts',
      'src/b.ts',
      'src/c.ts',
      'x',
      'y',
      'z',
    ])
    expect([...reachedFrom(map, 'src/d.ts')]).toEqual(['src/d.ts'])
  })
})

describe('the edge checker', () => {
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
  ])('reports %s in %s', (what, line) => {
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
  ])('accepts %s', (line) => {
    expect(checkReach('src/models/x.ts', line)).toEqual([])
  })

  it('allows a listed file only the effect it is listed for', () => {
    const line = 'performance.now() + Math.random()'
    expect(checkReach('src/platform/clock.ts', line)).toEqual([`src/platform/clock.ts: chance: ${line}`])
    expect(checkReach('src/platform/random.ts', line)).toEqual([`src/platform/random.ts: time: ${line}`])
  })

  it('reports exceptions that are not needed', () => {
    const without = new Map([...ours].filter(([file]) => file !== 'src/platform/random.ts'))
    expect(unusedExceptions(without)).toEqual(['src/platform/random.ts: chance'])
  })
})

describe('the state checker', () => {
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
  ])('reports %s', (line) => {
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
  ])('accepts %s', (line) => {
    expect(checkState('src/models/x.ts', line)).toEqual([])
  })
})
