import { spawnSync } from 'node:child_process'
import { afterAll, describe, expect, it } from 'vitest'
import { endlessTrips, loop } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { abortMarks, type ChildResult, fixturePath, runChild, tries } from '../support/run-child.js'

/** Runs a command as the first process of a pid namespace, as in a container. */
const within = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child']
const refusal = spawnSync(within[0] as string, [...within.slice(1), 'true'])
const mayUnshare = refusal.status === 0

const repository = tempRepository({ loop: { '1': loop() } })
afterAll(() => repository.dispose())

const exitWaitMs = 500
const input = {
  models: [{ name: 'loop', version: '1', source: repository.path('loop', '1') }],
  exitWaitMs,
  stuckAfterMs: 0,
  trips: 1000,
  endlessTrips: String(endlessTrips),
}
/** Without koffi, a destructor of the C library sometimes collides with the run, and the process faults. */
function expectCode(child: ChildResult, code: number, isSure: boolean): void {
  expect(child.isOverdue).toBe(false)
  if (!isSure && child.signal === 'SIGSEGV') return
  expect(child).toMatchObject({ code, signal: null })
}

const repeats = { repeats: tries - 1 }

describe.skipIf(!mayUnshare)('a run that never returns, in the first process of a container', () => {
  it.each([
    ['with koffi', []],
    ['without koffi', ['--require', fixturePath('no-koffi.cjs')]],
  ])('%s, delays process.exit(3) no longer than exitWaitMs', repeats, async (_, execArgv) => {
    const child = await runChild('stuck.mjs', { input: { ...input, action: 'exit' }, execArgv, within })
    expectCode(child, 3, execArgv.length === 0)
    expect(child.stderr).toMatch(
      /^tbcoin-engine: exit with code 3 without waiting longer: loop@1 has been running for \d+\.\d s\n$/,
    )
    expect(child.endingMs).toBeLessThan(exitWaitMs + 1_000)
  })

  it('without koffi, does not hide the uncaught exception that ends the host', repeats, async () => {
    const execArgv = ['--require', fixturePath('no-koffi.cjs')]
    const child = await runChild('stuck.mjs', { input: { ...input, action: 'throw' }, execArgv, within })
    expectCode(child, 1, false)
    expect(child.stderr).toContain('Error: thrown by the host')
    expect(child.stderr).not.toMatch(abortMarks)
  })
})

describe.skipIf(mayUnshare)('a pid namespace', () => {
  it.skip(`is not to be had here: ${refusal.error?.message ?? refusal.stderr}`)
})
