import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import * as options from '../../src/config/runtime-options.js'
import { ERROR_TABLE } from '../../src/errors/errors.js'
import { LIFECYCLE_STATES, TRANSITIONS } from '../../src/lifecycle/state-machine.js'
import { ModelLifecycleManager } from '../../src/models/model-manager.js'
import { findInRepository } from '../../src/models/repository/repository.js'
import { REQUEST_TRANSITIONS } from '../../src/requests/request-states.js'
import { RequestTracker } from '../../src/requests/request-tracker.js'
import { ResourceLifecycleManager } from '../../src/resources/resource-manager.js'
import { ENGINE_EVENTS } from '../../src/telemetry/events/event-map.js'
import { ELEMENT_TYPES } from '../../src/tensors/element-types.js'
import { TENSOR_TYPES } from '../../src/tensors/tensor.js'
import { benchScopes, chartFile, chartOf, readPublished } from '../../tools/bench-table.js'
import { PAGES, withGeneratedParts } from '../../tools/readme.js'
import { arrowsOf, codeBlocks, sectionOf, tableOf } from '../support/markdown.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string): string => readFileSync(`${root}${file}`, 'utf8')
const readme = read('README.md')
const words = (text = ''): string[] => text.match(/[a-z][\w-]*/gi) ?? []

/** The columns of a table, one array per row, without the marks of code. */
function rows(section: string, ...columns: string[]): string[][] {
  const table = tableOf(sectionOf(readme, section), ...columns)
  return table.map((row) => columns.map((column) => row[column]?.replace(/^`(.*)`$/, '$1') ?? ''))
}

/** The names of the properties of an interface, from its source. */
function propertiesOf(file: string, name: string): string[] {
  const body = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)^\\}`, 'ms').exec(read(file))?.[1]
  if (body === undefined) throw new Error(`${file} exports no interface ${name}`)
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map((match) => match[1] as string)
}

/** The methods that a table of calls documents and those that the class has, except the `internal` ones. */
function methods(section: string, { prototype }: { prototype: object }, internal = ''): string[][] {
  const documented = rows(section, 'call', 'what it does').map(([call]) => words(call)[0] as string)
  const names = Object.getOwnPropertyNames(prototype)
  const isPublic = (name: string): boolean => !['constructor', ...internal.split(' ')].includes(name)
  return [documented.sort(), names.filter(isPublic).sort()]
}

const calls = {
  loadModel: options.loadModelSchema,
  hotSwapModel: options.hotSwapSchema,
  cleanupUnusedModels: options.cleanupSchema,
}
const payloads: Readonly<Record<string, readonly [file: string, type: string]>> = {
  transition: ['src/lifecycle/state-machine.ts', 'Transition'],
  promoted: ['src/runtime-events.ts', 'Promotion'],
  replicaExited: ['src/runtime-events.ts', 'ReplicaExit'],
  replicaStuck: ['src/pools/settings/stuck-replica.ts', 'StuckReplica'],
  batchingDisabled: ['src/runtime-events.ts', 'BatchingFault'],
  artifactDecided: ['src/runtime-events.ts', 'ArtifactDecision'],
  closed: ['src/runtime-events.ts', 'CloseReport'],
}

/** Each returns what the README says and what the code says. */
const tables: Readonly<Record<string, () => readonly unknown[]>> = {
  'the error codes, with their meaning and what may be retried': () => [
    rows('Errors', 'code', 'retryable', 'meaning'),
    Object.entries(ERROR_TABLE).map(([code, row]) => [code, row.retryable ? 'yes' : 'no', row.meaning]),
  ],
  'the states of a version': () => [
    rows('States', 'state', 'a version').map(([state]) => state),
    LIFECYCLE_STATES,
  ],
  'the transitions of a version': () => [
    arrowsOf(codeBlocks(sectionOf(readme, 'States'), 'mermaid')[0] as string),
    Object.entries(TRANSITIONS).flatMap(([from, next]) => next.map((to) => `${from} -> ${to}`)),
  ],
  'the states of a request, with what may follow each': () => [
    rows('Requests', 'state', 'a prediction', 'may be followed by').map((row) => [row[0], words(row[2])]),
    Object.entries(REQUEST_TRANSITIONS),
  ],
  'the events, with their payloads': () => [
    rows('Events', 'event', 'payload', 'when').map(([event, payload]) => [event, words(payload)]),
    propertiesOf('src/runtime-events.ts', 'RuntimeEvents').map((event) => [
      event,
      propertiesOf(...(payloads[event] as [string, string])),
    ]),
  ],
  'the diagnostics channels, with their messages': () => [
    rows('Diagnostics channels', 'channel', 'message').map(([channel, message]) => [channel, words(message)]),
    Object.keys(ENGINE_EVENTS).map((event) => {
      const type = `${event[0]?.toUpperCase()}${event.slice(1)}Event`
      return [`tbcoin-engine:${event}`, propertiesOf('src/telemetry/events/event-map.ts', type)]
    }),
  ],
  'the element types, with the class of their data': () => [
    rows('Inputs and outputs', 'type', '`data`', 'elements of nested arrays').map((row) => row.slice(0, 2)),
    TENSOR_TYPES.map((type) => [type, ELEMENT_TYPES[type].arrayName]),
  ],
  'the options of predict': () => [
    rows('Managing models', 'option', 'meaning').map(([option]) => option),
    Object.keys(options.predictOptionsSchema.shape),
  ],
  'the options of the calls that take some': () => [
    rows('Managing models', 'call', 'what it does')
      .map(([call]) => words(call))
      .filter(([name]) => name !== undefined && name in calls),
    Object.entries(calls).map(([name, { shape }]) => [name, ...Object.keys(shape)]),
  ],
  'the methods of the model manager': () => {
    const internal = 'predict loadConfigured loadRepository recordMissing checkModels checkReplicas close'
    return methods('Managing models', ModelLifecycleManager, internal)
  },
  'the methods of the resource manager': () => methods('Resources', ResourceLifecycleManager),
  'the methods of the request tracker': () =>
    methods('Requests', RequestTracker, 'receive removeAllListeners'),
}

describe('the README', () => {
  it.each(Object.keys(tables))('lists %s as the code has them', (name) => {
    const [documented, actual] = tables[name]?.() ?? []
    expect(documented).toEqual(actual)
  })

  it.each(PAGES)('%s has its generated parts and charts as `npm run readme` makes them', (page) => {
    expect(read(page)).toBe(withGeneratedParts(read(page)))
    for (const scope of benchScopes(read(page))) {
      const file = chartFile(scope)
      expect(existsSync(file) ? readFileSync(file, 'utf8') : undefined).toBe(chartOf(readPublished(scope)))
    }
  })

  it('explains every option in a generated table', () => {
    const found = [...readme.matchAll(/<!-- options: ([\w-]+) -->\n(.*?)<!-- end -->/gs)]
    expect(
      found
        .map(([, name]) => name)
        .sort()
        .join(' '),
    ).toBe('artifacts batching health-check lifecycle memory model resource resource-pool resources runtime')
    for (const [, name, text] of found) {
      const table = tableOf(text as string, 'option', 'type', 'default', 'meaning')
      expect(
        table.filter(({ meaning }) => meaning === ''),
        name,
      ).toEqual([])
    }
  })

  it('shows a version.json with the keys that it lists, which the library accepts', async () => {
    const [example] = codeBlocks(sectionOf(readme, 'The model directory'), 'json')
    const manifest = JSON.parse(example as string)
    expect(rows('The model directory', 'key', 'meaning').map(([key]) => key)).toEqual(Object.keys(manifest))
    const files = { 'version.json': manifest }
    await using repository = tempRepository({ vad: { '5': { model: new Uint8Array(1), files } } })
    await expect(findInRepository(repository.dir, 'vad', '5')).resolves.toMatchObject(manifest)
  })

  it('shows the loader of the examples as it is', () => {
    const [shown] = codeBlocks(sectionOf(readme, 'Custom loaders'), 'ts')
    expect(shown).toBe(read('examples/loaders/tree-ensemble.ts'))
  })
})

function anchorsOf(page: string): string[] {
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map((match) => (match[1] as string).toLowerCase())
  return headings.map((heading) => heading.replace(/[^\w -]/g, '').replaceAll(' ', '-'))
}

const pages = ['.', 'docs'].flatMap((folder) =>
  readdirSync(`${root}${folder}`, { recursive: folder === 'docs', encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `${folder}/${file}`),
)

it.each(pages)('every relative link of %s leads to a file and a section that exist', (page) => {
  const found = [...read(page).matchAll(/\]\(([^)]+)\)|(?:src|href)="([^"]+)"/g)]
  const broken = found.filter(([, link, attribute]) => {
    const { protocol, pathname, hash } = new URL(link ?? (attribute as string), `file:///${page}`)
    if (protocol !== 'file:') return false
    if (!existsSync(`${root}${pathname}`)) return true
    return hash !== '' && !anchorsOf(read(pathname)).includes(hash.slice(1))
  })
  expect(broken.map(([link]) => link)).toEqual([])
})
