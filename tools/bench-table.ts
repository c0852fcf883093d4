import { existsSync, readFileSync } from 'node:fs'
import type { Published } from '../bench/harness/published.js'
import { lineChart } from '../bench/report/line-chart.js'
import { markdownTable } from './markdown-table.js'

const bench = new URL('../bench/', import.meta.url)

/** Returns the published result of a scope, or undefined if there is none. */
export function readPublished(scope: string): Published | undefined {
  const path = new URL(`published/${scope}.json`, bench)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Published) : undefined
}

/** Returns the URL of the committed chart of a scope. */
export function chartFile(scope: string): URL {
  return new URL(`${scope}.svg`, bench)
}

/** Returns the published chart of a scope as SVG, or undefined if there is none. */
export function chartOf(published: Published | undefined): string | undefined {
  return published?.chart === undefined ? undefined : lineChart(published.chart)
}

/** Returns the part on one scope: findings with their targets, the machine, and with `hasFigures` the figures. */
export function benchPart(
  { scope, measuredAt, machine, ratios, figures, chart }: Published,
  hasFigures = false,
): string {
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
  if (hasFigures) for (const rows of Object.values(figures)) parts.push(markdownTable(rows))
  return parts.join('\n\n')
}

/**
 * Returns `page` with published results between marks like `<!-- bench: throughput -->` or
 * `<!-- bench: soak with figures -->`; the part of a scope without a published result is empty.
 */
export function withBenchParts(
  page: string,
  read: (scope: string) => Published | undefined = readPublished,
): string {
  return page.replace(
    /(<!-- bench: ([\w-]+)( with figures)? -->\n).*?(<!-- end -->)/gs,
    (_, begin: string, scope: string, figures: string | undefined, end: string) => {
      const published = read(scope)
      if (published === undefined) return `${begin}${end}`
      return `${begin}\n${benchPart(published, figures !== undefined)}\n\n${end}`
    },
  )
}

/** Returns the scopes that have a part in `page`. */
export function benchScopes(page: string): string[] {
  return [...page.matchAll(/<!-- bench: ([\w-]+)(?: with figures)? -->/g)].map((match) => match[1] as string)
}
