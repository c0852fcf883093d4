import { readFileSync, writeFileSync } from 'node:fs'
import type { z } from 'zod'
import { artifactOptionsSchema } from '../src/config/artifact-options.js'
import { batchingOptionsSchema } from '../src/config/batching-options.js'
import { memoryOptionsSchema } from '../src/config/memory-options.js'
import { lifecycleSchema, modelConfigSchema, runtimeSchema } from '../src/config/runtime-options.js'
import { healthCheckOptionsSchema } from '../src/lifecycle/health/health-check.js'
import { poolSchema } from '../src/resources/pooled/pool-options.js'
import { initializeSchema, managerSchema } from '../src/resources/resource-options.js'
import { benchScopes, chartFile, chartOf, readPublished, withBenchParts } from './bench-table.js'
import { type OptionRow, rowsOf, tableOf } from './option-table.js'

/** Option that is not plain data and therefore not in the schema. */
const LOGGER: OptionRow = {
  option: '`logger`',
  type: 'a pino logger, or what has its methods',
  default: 'none',
  meaning: 'where log lines go instead of standard error',
}

const TABLES: Readonly<Record<string, readonly OptionRow[]>> = {
  runtime: withLogger(runtimeSchema),
  lifecycle: withLogger(lifecycleSchema),
  model: rowsOf(modelConfigSchema),
  artifacts: rowsOf(artifactOptionsSchema),
  batching: rowsOf(batchingOptionsSchema),
  memory: rowsOf(memoryOptionsSchema),
  'health-check': rowsOf(healthCheckOptionsSchema),
  resources: withLogger(managerSchema),
  resource: rowsOf(initializeSchema),
  'resource-pool': rowsOf(poolSchema),
}

function withLogger(schema: z.ZodObject): OptionRow[] {
  const rows = rowsOf(schema)
  const index = rows.findIndex(({ option }) => option === '`logLevel`')
  return [...rows.slice(0, index + 1), LOGGER, ...rows.slice(index + 1)]
}

/** Returns `readme` with tables of options from the schemas between marks like `<!-- options: model -->`. */
export function withOptionTables(readme: string): string {
  return readme.replace(
    /(<!-- options: ([\w-]+) -->\n).*?(\n<!-- end -->)/gs,
    (_, begin: string, name: string, end: string) => {
      const rows = TABLES[name]
      if (rows === undefined)
        throw new Error(`the README has a table of options of ${name}, which no schema has`)
      return `${begin}\n${tableOf(rows)}\n${end}`
    },
  )
}

/** Returns `readme` with all generated parts. */
export function withGeneratedParts(readme: string): string {
  return withBenchParts(withOptionTables(readme))
}

/** Pages with generated parts, relative to the root of the repository. */
export const PAGES = ['README.md', 'docs/soak.md'] as const

if (process.argv[1]?.endsWith('readme.ts')) {
  for (const page of PAGES) {
    const path = new URL(`../${page}`, import.meta.url)
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, withGeneratedParts(text))
    for (const scope of benchScopes(text)) {
      const chart = chartOf(readPublished(scope))
      if (chart !== undefined) writeFileSync(chartFile(scope), chart)
    }
  }
}
