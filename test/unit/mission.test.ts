import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runtimeSchema } from '../../src/config/runtime-options.js'
import { LifecycleManager } from '../../src/lifecycle/lifecycle-manager.js'
import { LIFECYCLE_STATES } from '../../src/lifecycle/state-machine.js'
import { ModelLifecycleManager } from '../../src/models/model-manager.js'
import { ResourceLifecycleManager } from '../../src/resources/resource-manager.js'
import { codeOf, sectionOf, tableOf } from '../support/markdown.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string): string => readFileSync(`${root}${file}`, 'utf8')

const rows = tableOf(sectionOf(read('README.md'), 'Names of the Python design'), 'there', 'here', 'shown by')

/** What exists here under a name such as `LifecycleManager.startup` or `'running'`. */
const here: ReadonlySet<string> = new Set([
  ...[LifecycleManager, ModelLifecycleManager, ResourceLifecycleManager].flatMap((manager) =>
    Object.getOwnPropertyNames(manager.prototype).map((name) => `${manager.name}.${name}`),
  ),
  ...Object.keys(runtimeSchema.shape).map((key) => `LifecycleConfig.${key}`),
  ...LIFECYCLE_STATES.map((state) => `'${state}'`),
])

describe('the names of the Python design', () => {
  it('all have their row in the README, in its order, and nothing else has one', () => {
    const documented = rows.map((row) => codeOf(row.there))
    expect([...documented].sort()).toEqual([...namesOf(read('models/data/tbcoin-engine-ml.md'))].sort())
    expect(new Set(documented).size).toBe(documented.length)
  })

  it.each(rows.map((row) => [codeOf(row.there), codeOf(row.here)]))('%s is %s here', (there, name) => {
    expect(here).toContain(name)
    const words = there.split('.').at(-1)?.toLowerCase().replace('_seconds', '_ms') ?? ''
    const camelCase = words.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    // uptime is the one that stays in seconds.
    const expected = words === 'uptime_ms' ? 'uptimeSeconds' : camelCase
    expect(name.replaceAll("'", '').split('.').at(-1)).toBe(expected)
  })

  it.each(rows.map((row) => [codeOf(row.there), row['shown by'] ?? '']))(
    '%s is shown by a test',
    (_, shown) => {
      const [, file, target, title] = /^\[([^\]]+)\]\(([^)]+)\): (.+)$/.exec(shown) ?? []
      expect(file).toBe(target)
      expect(read(file as string)).toContain(`('${title}'`)
    },
  )
})

/** Every method, property, configuration field and state that the design names. */
function namesOf(design: string): string[] {
  const names: string[] = []
  const reference = design.slice(design.indexOf('## API Reference'))
  let owner = ''
  for (const line of reference.split('\n')) {
    owner = /^### (\w+)/.exec(line)?.[1] ?? owner
    const name = /^- `(?:async )?(\w+)/.exec(line)?.[1]
    if (name !== undefined) names.push(`${owner}.${name}`)
  }
  const fields = /LifecycleConfig\(\n(.*?)\n\)/s.exec(design)?.[1] ?? ''
  for (const [, field] of fields.matchAll(/^\s*(\w+)=/gm)) names.push(`LifecycleConfig.${field}`)
  for (const [, state] of design.matchAll(/^- `([A-Z]+)`: /gm)) names.push(`LifecycleState.${state}`)
  return names
}
