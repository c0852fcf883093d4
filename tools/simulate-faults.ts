import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { FAULTS, type Fault } from '../test/simulation/faults.js'

/** Number of steps within which the simulation must find a fault. */
const STEPS = 100_000
const COPIED = ['src', 'test', 'workers', 'package.json', 'tsconfig.json']

/** Runs the simulation on a copy of the code with each fault; an argument selects faults by a part of their name. */
function main(): void {
  const wanted = process.argv[2] ?? ''
  const faults = FAULTS.filter(({ name }) => name.includes(wanted))
  const missed = faults.filter((fault) => !isFound(fault))
  console.log(`${faults.length - missed.length} of ${faults.length} faults were found`)
  process.exitCode = missed.length === 0 && faults.length > 0 ? 0 : 1
}

function isFound(fault: Fault): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'tbcoin-fault-'))
  try {
    for (const name of COPIED) cpSync(name, join(folder, name), { recursive: true })
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
    insert(fault, join(folder, fault.file))
    const args = [
      '--import',
      'tsx',
      'test/simulation/main.ts',
      '--whole',
      '--seed',
      '1',
      '--steps',
      `${STEPS}`,
    ]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
    const [reason = stderr.trim()] = /(?<=has failed:\n).*/.exec(stdout) ?? []
    const [effort = ''] = /\d+ steps of .* s /.exec(stdout) ?? []
    console.log(
      `${status === 1 ? 'found ' : 'MISSED'}  ${fault.name}\n        ${reason.slice(0, 160)} (${effort.trim()})`,
    )
    // A copy that does not start has found no fault.
    return status === 1 && stdout.includes('has failed')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function insert({ name, text, replacement }: Fault, path: string): void {
  const code = readFileSync(path, 'utf8')
  if (code.split(text).length !== 2) throw new Error(`${name}: its text must occur in ${path} exactly once`)
  writeFileSync(
    path,
    code.replace(text, () => replacement),
  )
}

main()
