import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { table } from '../../examples/speech/table.js'
import { packageRoot } from '../../models/catalogue.js'
import { lineChart } from '../report/line-chart.js'
import type { Machine } from './machine.js'
import type { Published } from './published.js'
import type { Finding, ScopeResult } from './scope.js'

/** Prints the findings, the tables and the machine. */
export function printResult({ ratios, figures }: ScopeResult, machine: Machine): void {
  const parts = [table(ratios.map(rowOf))]
  for (const [caption, rows] of Object.entries(figures)) parts.push(`${caption}\n${table(rows)}`)
  const { cpu, cores, node, onnxruntime, loadAverage } = machine
  parts.push(
    `${cpu}, ${cores} cores, Node ${node}, onnxruntime-node ${onnxruntime}; load average at the start ${loadAverage.toFixed(1)}`,
  )
  process.stdout.write(`\n${parts.join('\n\n')}\n`)
}

function rowOf({ name, value, target, isMet }: Finding): string[] {
  const verdict = isMet === undefined ? '' : isMet ? 'met' : 'MISSED'
  return [name, value, target === undefined ? '' : `target ${target}`, verdict]
}

/** Result of one scope, with the machine that it was measured on. */
export interface Report {
  readonly scope: string
  readonly quantity: string
  readonly measuredAt: string
  readonly machine: Machine
  readonly result: ScopeResult
}

/**
 * Writes the result with all samples to `bench/results/<scope>.json`, and its chart, if any, beside that file;
 * returns the path.
 */
export async function writeResult({ result, ...head }: Report): Promise<string> {
  const { ratios, failures, data, chart } = result
  const folder = join(packageRoot, 'bench', 'results')
  const path = join(folder, `${head.scope}.json`)
  await writeJson(path, { ...head, ratios, failures, data })
  if (chart !== undefined) await writeFile(join(folder, `${head.scope}.svg`), lineChart(chart))
  return path
}

/** Writes the committed part of the result to `bench/published/<scope>.json` for the README; returns the path. */
export async function publish({ result, ...head }: Report): Promise<string> {
  const { ratios, figures, chart } = result
  const path = join(packageRoot, 'bench', 'published', `${head.scope}.json`)
  const published: Published = { ...head, ratios, figures, ...(chart !== undefined && { chart }) }
  await writeJson(path, published)
  return path
}

async function writeJson(path: string, content: object): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, `${JSON.stringify(content, undefined, 2)}\n`)
}
