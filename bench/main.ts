import { readdir } from 'node:fs/promises'
import { describeMachine } from './harness/machine.js'
import { printResult, writeResult } from './harness/output.js'
import type { Scope } from './harness/scope.js'

const folder = new URL('./scopes/', import.meta.url)

/** `npm run bench -- <scope> [options]`: every file of `scopes/` is one. */
async function main([name, ...args]: readonly string[]): Promise<void> {
  const names = await scopeNames()
  if (name === undefined || !names.includes(name)) {
    const lines = await Promise.all(names.map(async (known) => `  ${known}: ${(await load(known)).quantity}`))
    const what = name === undefined ? 'No scope is named.' : `There is no scope '${name}'.`
    throw new Error([`${what} Known are:`, ...lines].join('\n'))
  }
  const scope = await load(name)
  process.stdout.write(`${name}: ${scope.quantity}\n`)
  // Before the bench itself is what keeps the machine busy.
  const machine = describeMachine()
  const result = await scope.run(args)
  printResult(result, machine)
  const path = await writeResult(name, scope.quantity, machine, result)
  process.stdout.write(`written to ${path}\n`)
  for (const failure of result.failures) process.stderr.write(`bench: ${failure}\n`)
  if (result.failures.length > 0) process.exitCode = 1
}

async function scopeNames(): Promise<string[]> {
  const files = await readdir(folder)
  return files.flatMap((file) => /^([a-z-]+)\.[jt]s$/.exec(file)?.[1] ?? []).sort()
}

async function load(name: string): Promise<Scope> {
  const module = (await import(new URL(`./${name}.js`, folder).href)) as { scope: Scope }
  return module.scope
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
