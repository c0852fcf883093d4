import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import {
  cleanupSchema,
  hotSwapSchema,
  lifecycleSchema,
  loadModelSchema,
  modelConfigSchema,
  predictOptionsSchema,
  runtimeSchema,
} from '../../src/config/runtime-options.js'
import { ERROR_TABLE } from '../../src/errors/errors.js'
import { healthCheckOptionsSchema } from '../../src/lifecycle/health/health-check.js'
import { LIFECYCLE_STATES, TRANSITIONS } from '../../src/lifecycle/state-machine.js'
import { ModelLifecycleManager } from '../../src/models/model-manager.js'
import { findInRepository } from '../../src/models/repository/repository.js'
import { REQUEST_TRANSITIONS } from '../../src/requests/request-states.js'
import { RequestTracker } from '../../src/requests/request-tracker.js'
import { poolSchema } from '../../src/resources/pooled/pool-options.js'
import { ResourceLifecycleManager } from '../../src/resources/resource-manager.js'
import { initializeSchema, managerSchema } from '../../src/resources/resource-options.js'
import type { RuntimeEvents } from '../../src/runtime-events.js'
import { ENGINE_EVENTS } from '../../src/telemetry/events/event-map.js'
import { ELEMENT_TYPES } from '../../src/tensors/element-types.js'
import { TENSOR_TYPES } from '../../src/tensors/tensor.js'
import { benchScopes, chartFile, chartOf, readPublished } from '../../tools/bench-table.js'
import { rowsOf } from '../../tools/option-table.js'
import { PAGES, withGeneratedParts } from '../../tools/readme.js'
import { arrowsOf, codeBlocks, codeOf, sectionOf, tableOf } from '../support/markdown.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const readme = readFileSync(`${root}README.md`, 'utf8')

/** Names of an interface's own properties, from its source: types leave nothing behind to ask. */
function propertiesOf(file: string, name: string): string[] {
  const source = readFileSync(`${root}${file}`, 'utf8')
  const body = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)^\\}`, 'ms').exec(source)?.[1]
  if (body === undefined) throw new Error(`${file} exports no interface ${name}`)
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map((match) => match[1] as string)
}

describe('the README', () => {
  it('has every error code with what the code table says of it, and no other', () => {
    const rows = tableOf(sectionOf(readme, 'Errors'), 'code', 'retryable', 'meaning')
    const documented = rows.map((row) => [
      codeOf(row.code),
      { retryable: row.retryable === 'yes', meaning: row.meaning },
    ])
    expect(documented).toEqual(Object.entries(ERROR_TABLE))
    expect(rows.every((row) => row.retryable === 'yes' || row.retryable === 'no')).toBe(true)
  })

  it('calls exactly those codes reserved that no source uses', () => {
    const sources = ['src', 'workers'].flatMap((folder) =>
      readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts') && file !== 'errors.ts')
        .map((file) => readFileSync(`${root}${folder}/${file}`, 'utf8')),
    )
    const used = new Set(sources.flatMap((source) => source.match(/(?<=errors\.|')ERR_[A-Z_]+/g) ?? []))
    const unused = Object.keys(ERROR_TABLE).filter((code) => !used.has(code))
    const sentence = sectionOf(readme, 'Errors').match(/^Nothing in this version rejects.*$/m)?.[0] ?? ''
    expect(sentence.match(/ERR_[A-Z_]+/g) ?? []).toEqual(unused)
  })

  it('has every state of a request with what may follow it', () => {
    const rows = tableOf(sectionOf(readme, 'Requests'), 'state', 'a prediction', 'may be followed by')
    const documented = rows.map((row) => [
      codeOf(row.state),
      (row['may be followed by'] ?? '').match(/[a-z][a-z-]+/g) ?? [],
    ])
    expect(documented).toEqual(Object.entries(REQUEST_TRANSITIONS))
  })

  it('names every method of the request tracker, and no other', () => {
    const rows = tableOf(sectionOf(readme, 'Requests'), 'call', 'what it does')
    const documented = rows.map((row) => codeOf(row.call).replace(/\(.*/, ''))
    const methods = Object.getOwnPropertyNames(RequestTracker.prototype)
    const elsewhere = ['constructor', 'receive', 'removeAllListeners']
    expect(documented.sort()).toEqual(methods.filter((name) => !elsewhere.includes(name)).sort())
  })

  it('names every method of the resource manager, and no other', () => {
    const rows = tableOf(sectionOf(readme, 'Resources'), 'call', 'what it does')
    const documented = rows.map((row) => codeOf(row.call).replace(/\(.*/, ''))
    const methods = Object.getOwnPropertyNames(ResourceLifecycleManager.prototype)
    expect(documented.sort()).toEqual(methods.filter((name) => name !== 'constructor').sort())
  })

  it('has its generated parts as `npm run readme` makes them', () => {
    for (const page of PAGES) {
      const text = readFileSync(`${root}${page}`, 'utf8')
      expect(text).toBe(withGeneratedParts(text))
    }
    for (const table of [
      'runtime',
      'lifecycle',
      'model',
      'health-check',
      'resources',
      'resource',
      'resource-pool',
    ]) {
      expect(readme).toContain(`<!-- options: ${table} -->`)
    }
    // The one option that is no plain data, and so not in a schema.
    expect(propertiesOf('src/runtime.ts', 'RuntimeOptions')).toEqual(['logger'])
    expect(propertiesOf('src/lifecycle/lifecycle-manager.ts', 'LifecycleManagerOptions')).toEqual(['logger'])
  })

  it('has a part for what benches publish, and their charts are those of the published figures', () => {
    const files = existsSync(`${root}bench/published`) ? readdirSync(`${root}bench/published`) : []
    const scopes = PAGES.flatMap((page) => benchScopes(readFileSync(`${root}${page}`, 'utf8')))
    expect(scopes).toEqual(['throughput', 'latency', 'isolation', 'catalogue', 'loop', 'memory', 'soak'])
    for (const file of files) expect(scopes).toContain(file.replace(/\.json$/, ''))
    for (const scope of scopes) {
      const chart = chartOf(readPublished(scope))
      const path = chartFile(scope)
      expect(existsSync(path) ? readFileSync(path, 'utf8') : undefined).toBe(chart)
    }
  })

  it.each([
    ['createRuntime', runtimeSchema],
    ['LifecycleManager', lifecycleSchema],
    ['a model', modelConfigSchema],
    ['a health check', healthCheckOptionsSchema],
    ['ResourceLifecycleManager', managerSchema],
    ['a resource', initializeSchema],
    ['a pool', poolSchema],
  ])('says what every option of %s means', (_, schema) => {
    expect(rowsOf(schema).filter(({ meaning }) => meaning === '')).toEqual([])
  })

  it('has every option of predict, and no other', () => {
    const rows = tableOf(sectionOf(readme, 'Managing models'), 'option', 'meaning')
    expect(rows.map((row) => codeOf(row.option))).toEqual(Object.keys(predictOptionsSchema.shape))
  })

  it.each([
    ['loadModel', loadModelSchema],
    ['hotSwapModel', hotSwapSchema],
    ['cleanupUnusedModels', cleanupSchema],
  ])('names every option of %s, and no other', (name, schema) => {
    const rows = tableOf(sectionOf(readme, 'Managing models'), 'call', 'what it does')
    const call = rows.map((row) => codeOf(row.call)).find((code) => code.startsWith(`${name}(`))
    expect(call?.match(/\w+/g)).toEqual([name, ...Object.keys(schema.shape)])
  })

  it('names every method of the model manager that is not for the runtime alone, and no other', () => {
    const rows = tableOf(sectionOf(readme, 'Managing models'), 'call', 'what it does')
    const documented = rows.map((row) => codeOf(row.call).replace(/\(.*/, ''))
    const methods = Object.getOwnPropertyNames(ModelLifecycleManager.prototype)
    const elsewhere = [
      'constructor',
      'predict',
      'loadConfigured',
      'loadRepository',
      'recordMissing',
      'checkModels',
      'checkReplicas',
      'close',
    ]
    expect(documented.sort()).toEqual(methods.filter((name) => !elsewhere.includes(name)).sort())
  })

  it('names keys of version.json that exist, and the JSON it shows is valid', async () => {
    const section = sectionOf(readme, 'The model directory')
    const [example] = codeBlocks(section, 'json')
    const manifest = JSON.parse(example as string)
    const keys = tableOf(section, 'key', 'meaning').map((row) => codeOf(row.key))
    expect(Object.keys(manifest)).toEqual(keys)
    await using repository = tempRepository({
      vad: {
        '5': { model: new Uint8Array(1), files: { 'version.json': manifest } },
        '6': { model: new Uint8Array(1), files: { 'version.json': { ...manifest, more: 1 } } },
      },
    })
    await expect(findInRepository(repository.dir, 'vad', '5')).resolves.toMatchObject(manifest)
    await expect(findInRepository(repository.dir, 'vad', '6')).rejects.toMatchObject({
      code: 'ERR_INVALID_MANIFEST',
    })
  })

  it('has every event with its payload, and no other', () => {
    const events = propertiesOf('src/runtime-events.ts', 'RuntimeEvents')
    const rows = tableOf(sectionOf(readme, 'Events'), 'event', 'payload', 'when')
    const payloads: Record<keyof RuntimeEvents, readonly [file: string, type: string]> = {
      transition: ['src/lifecycle/state-machine.ts', 'Transition'],
      promoted: ['src/runtime-events.ts', 'Promotion'],
      replicaExited: ['src/runtime-events.ts', 'ReplicaExit'],
      replicaStuck: ['src/pools/settings/stuck-replica.ts', 'StuckReplica'],
      batchingDisabled: ['src/runtime-events.ts', 'BatchingFault'],
      artifactDecided: ['src/runtime-events.ts', 'ArtifactDecision'],
      closed: ['src/runtime-events.ts', 'CloseReport'],
    }
    expect(rows.map((row) => codeOf(row.event))).toEqual(events)
    for (const row of rows) {
      const [file, type] = payloads[codeOf(row.event) as keyof RuntimeEvents]
      expect(codeOf(row.payload).match(/\w+/g)).toEqual(propertiesOf(file, type))
    }
  })

  it('has the channel of every event with its message, and no other', () => {
    const rows = tableOf(sectionOf(readme, 'Diagnostics channels'), 'channel', 'message')
    const documented = rows.map((row) => [codeOf(row.channel), codeOf(row.message).match(/\w+/g)])
    const published = Object.keys(ENGINE_EVENTS).map((event) => [
      `tbcoin-engine:${event}`,
      propertiesOf('src/telemetry/events/event-map.ts', `${event[0]?.toUpperCase()}${event.slice(1)}Event`),
    ])
    expect(documented).toEqual(published)
  })

  it('draws every transition, and no other', () => {
    const [diagram] = codeBlocks(sectionOf(readme, 'States'), 'mermaid')
    const transitions = Object.entries(TRANSITIONS).flatMap(([from, next]) =>
      next.map((to) => `${from} -> ${to}`),
    )
    expect(arrowsOf(diagram as string)).toEqual(transitions)
  })

  it('explains every state, and no other', () => {
    const rows = tableOf(sectionOf(readme, 'States'), 'state', 'a version')
    expect(rows.map((row) => codeOf(row.state))).toEqual([...LIFECYCLE_STATES])
  })

  it('has every element type with the class that holds it, and no other', () => {
    const rows = tableOf(
      sectionOf(readme, 'Inputs and outputs'),
      'type',
      '`data`',
      'elements of nested arrays',
    )
    const documented = rows.map((row) => [codeOf(row.type), codeOf(row['`data`'])])
    expect(documented).toEqual(TENSOR_TYPES.map((type) => [type, ELEMENT_TYPES[type].arrayName]))
  })

  it('shows the loader of the examples as it is', () => {
    const [shown] = codeBlocks(sectionOf(readme, 'Custom loaders'), 'ts')
    expect(shown).toBe(readFileSync(`${root}examples/loaders/tree-ensemble.ts`, 'utf8'))
  })
})

/** Links of a page, with those in tags, but to other sites. */
function linksOf(page: string): string[] {
  const links = page.matchAll(/\]\(([^)]+)\)|(?:src|href)="([^"]+)"/g)
  return [...links].map(([, link, attribute]) => (link ?? attribute) as string).filter(isRelative)
}

function isRelative(link: string): boolean {
  return !/^\w+:/.test(link)
}

function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] as string)
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
}

// The registry shows the README with relative links led into the repository, which has what a checkout has.
describe.each([
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...readdirSync(`${root}docs`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
])('%s', (page) => {
  it('links to sections and files that are there', () => {
    const isThere = (link: string): boolean => {
      const { pathname, hash } = new URL(link, `file:///${page}`)
      const file = `${root}${pathname.slice(1)}`
      if (!existsSync(file)) return false
      return hash === '' || anchorsOf(readFileSync(file, 'utf8')).includes(hash.slice(1))
    }
    expect(linksOf(readFileSync(`${root}${page}`, 'utf8')).filter((link) => !isThere(link))).toEqual([])
  })
})

describe('the reader of Markdown', () => {
  const text = [
    '# A',
    '## Options',
    '| option | default |',
    '| --- | --- |',
    '| `a` | `1` |',
    '| `b` | x \\| y |',
    '',
    '```sh',
    '# no heading',
    '```',
    '### Inner',
    'inner',
    '## Next',
    'next',
  ].join('\n')

  it('takes a section up to the next heading of its rank', () => {
    expect(sectionOf(text, 'Options')).toContain('# no heading')
    expect(sectionOf(text, 'Options')).toContain('inner')
    expect(sectionOf(text, 'Options')).not.toContain('next')
    expect(sectionOf(text, 'Inner')).toBe('inner')
  })

  it('refuses a section that is missing, is there twice, or is in a code block', () => {
    expect(() => sectionOf(text, 'Option')).toThrow('0 headings')
    expect(() => sectionOf(`${text}\n## Options\n`, 'Options')).toThrow('2 headings')
    expect(() => sectionOf(text, 'no heading')).toThrow('0 headings')
  })

  it('reads rows, and notices one that is missing, added or changed', () => {
    const rows = tableOf(text, 'option', 'default')
    expect(rows).toEqual([
      { option: '`a`', default: '`1`' },
      { option: '`b`', default: 'x | y' },
    ])
    expect(tableOf(text.replace('| `a` | `1` |\n', ''), 'option', 'default')).not.toEqual(rows)
    expect(tableOf(text.replace('`a`', '`c`'), 'option', 'default')).not.toEqual(rows)
    expect(tableOf(text.replace('| `a`', '| `c` | `1` |\n| `a`'), 'option', 'default')).not.toEqual(rows)
  })

  it('refuses a table that is missing, empty or has a row that does not fit', () => {
    expect(() => tableOf(text, 'option', 'meaning')).toThrow('there is no table')
    expect(() => tableOf(text.replace(/^\| `.*\n/gm, ''), 'option', 'default')).toThrow('is empty')
    expect(() => tableOf(text.replace('`a` |', '`a` | |'), 'option', 'default')).toThrow('not 2 cells')
  })

  it('refuses a cell that is not one piece of code', () => {
    expect(codeOf('`a`')).toBe('a')
    for (const cell of ['a', '`a` and `b`', '``', undefined]) expect(() => codeOf(cell)).toThrow()
  })

  it('reads arrows, and refuses a line that is none', () => {
    const diagram = 'stateDiagram-v2\n  [*] --> a\n  a --> b\n'
    expect(arrowsOf(diagram)).toEqual(['a -> b'])
    expect(arrowsOf(`${diagram}  b --> a\n`)).not.toEqual(arrowsOf(diagram))
    expect(() => arrowsOf(`${diagram}  b -> a\n`)).toThrow('no arrow')
    expect(() => arrowsOf('flowchart TD\n')).toThrow('no state diagram')
  })

  it('takes code blocks of one language, in order', () => {
    const blocks = '```ts\na\n```\n```js\nb\n```\n```ts\nc\n```\n'
    expect(codeBlocks(blocks, 'ts')).toEqual(['a\n', 'c\n'])
    expect(codeBlocks(text, 'ts')).toEqual([])
  })
})
