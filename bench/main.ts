import { readdir } from 'node:fs/promises'
import { describeMachine } from './harness/machine.js'
import { printResult, publish, type Report, writeResult } from './harness/output.js'
import type { Scope } from './harness/scope.js'

const folder = new URL('./scopes/', import.meta.url)
const PUBLISH = '--publish'

/**
 * Runs `npm run bench -- <scope>... [files] [options]`. Every folder of `scopes/` is a scope, and each named scope
 * receives the files and options. `--publish` also writes the medians that the README shows.
 */
async function main(args: readonly string[]): Promise<void> {
  const firstOther = args.findIndex((arg) => !/^[a-z]+(-[a-z]+)*$/.test(arg))
  const chosen = firstOther === -1 ? args : args.slice(0, firstOther)
  const options = args.slice(chosen.length)
  const known = await scopeNames()
  const unknown = chosen.find((name) => !known.includes(name))
  if (chosen.length === 0 || unknown !== undefined) {
    const lines = await Promise.all(known.map(async (name) => `  ${name}: ${(await load(name)).quantity}`))
    const problem = unknown === undefined ? 'No scope was named.' : `There is no scope '${unknown}'.`
    throw new Error([`${problem} Scopes:`, ...lines].join('\n'))
  }
  const isPublished = options.includes(PUBLISH)
  for (const name of chosen) {
    await runScope(
      name,
      options.filter((option) => option !== PUBLISH),
      isPublished,
    )
  }
}

async function runScope(name: string, options: readonly string[], isPublished: boolean): Promise<void> {
  const scope = await load(name)
  process.stdout.write(`${name}: ${scope.quantity}\n`)
  // The load average is read before the bench itself adds to it.
  const machine = describeMachine()
  const result = await scope.run(options)
  printResult(result, machine)
  const { quantity } = scope
  const report: Report = { scope: name, quantity, measuredAt: new Date().toISOString(), machine, result }
  process.stdout.write(`written to ${await writeResult(report)}\n`)
  for (const failure of result.failures) process.stderr.write(`bench: ${failure}\n`)
  if (result.failures.length > 0) process.exitCode = 1
  else if (isPublished) process.stdout.write(`published in ${await publish(report)}\n`)
}

async function scopeNames(): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries.flatMap((entry) => (entry.isDirectory() ? entry.name : [])).sort()
}

async function load(name: string): Promise<Scope> {
  const module = (await import(new URL(`./${name}/scope.js`, folder).href)) as { scope: Scope }
  return module.scope
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
