import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { table } from '../../examples/speech/table.js'
import { packageRoot } from '../../models/catalogue.js'
import type { Machine } from './machine.js'
import type { Finding, ScopeResult } from './scope.js'

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

/** Writes `bench/results/<scope>.json`, from which tables are generated; returns its path. */
export async function writeResult(
  name: string,
  quantity: string,
  machine: Machine,
  { ratios, failures, data }: ScopeResult,
): Promise<string> {
  const folder = join(packageRoot, 'bench', 'results')
  await mkdir(folder, { recursive: true })
  const path = join(folder, `${name}.json`)
  const content = {
    scope: name,
    quantity,
    measuredAt: new Date().toISOString(),
    machine,
    ratios,
    failures,
    data,
  }
  await writeFile(path, `${JSON.stringify(content, undefined, 2)}\n`)
  return path
}
