import { existsSync, readFileSync } from 'node:fs'
import { lineChart } from '../bench/report/line-chart.js'
import type { Published } from '../bench/report/published.js'
import { markdownTable } from './markdown-table.js'

const bench = new URL('../bench/', import.meta.url)

/** What a scope has published; undefined if it has not. */
export function readPublished(scope: string): Published | undefined {
  const path = new URL(`published/${scope}.json`, bench)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Published) : undefined
}

/** Where the committed chart of a scope lies. */
export function chartFile(scope: string): URL {
  return new URL(`${scope}.svg`, bench)
}

/** The chart of a scope as SVG, if it has published one. */
export function chartOf(published: Published | undefined): string | undefined {
  return published?.chart === undefined ? undefined : lineChart(published.chart)
}

/** The README's part on one scope: findings with their targets, what they were taken on, the chart. */
export function benchPart({ scope, measuredAt, machine, ratios, chart }: Published): string {
  const table = markdownTable([
    ['median of the rounds', 'value', 'target', 'met'],
    ...ratios.map(({ name, value, target, isMet }) => [
      name,
      value,
      target ?? '',
      isMet === undefined ? '' : isMet ? 'yes' : 'no',
    ]),
  ])
  const { cpu, cores, node, onnxruntime } = machine
  const where = `${measuredAt.slice(0, 10)}, ${cpu}, ${cores} cores, Node ${node}, onnxruntime-node ${onnxruntime}`
  const parts = [table, where]
  if (chart !== undefined) {
    const titles = chart.panels.map(({ title }) => title).join('; ')
    parts.push(`![${chart.title}: ${titles}](bench/${scope}.svg)`)
  }
  return parts.join('\n\n')
}

/** `readme` with what was published between marks like `<!-- bench: throughput -->`; nothing where nothing was. */
export function withBenchParts(
  readme: string,
  read: (scope: string) => Published | undefined = readPublished,
): string {
  return readme.replace(
    /(<!-- bench: ([\w-]+) -->\n).*?(<!-- end -->)/gs,
    (_, begin: string, scope: string, end: string) => {
      const published = read(scope)
      return published === undefined ? `${begin}${end}` : `${begin}\n${benchPart(published)}\n\n${end}`
    },
  )
}

/** The scopes that have a part in `readme`. */
export function benchScopes(readme: string): string[] {
  return [...readme.matchAll(/<!-- bench: ([\w-]+) -->/g)].map((match) => match[1] as string)
}
