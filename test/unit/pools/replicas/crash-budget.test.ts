import { describe, expect, it } from 'vitest'
import { CrashBudget } from '../../../../src/pools/replicas/crash-budget.js'

const settings = { crashBudget: 3, crashWindowMs: 1000, restartBackoffMs: 100, maxRestartBackoffMs: 250 }

describe('the crash budget', () => {
  it('doubles the delay with every crash, up to the maximum', () => {
    const budget = new CrashBudget(settings)
    expect([0, 1, 2].map((at) => budget.spend(at))).toEqual([100, 200, 250])
  })

  it('is spent by one crash more than it allows', () => {
    const budget = new CrashBudget(settings)
    for (const at of [0, 1, 2]) budget.spend(at)
    expect(budget.spend(3)).toBeUndefined()
    expect(budget.spend(4)).toBeUndefined()
  })

  it('forgets crashes that are older than the window', () => {
    const budget = new CrashBudget(settings)
    for (const at of [0, 10, 20]) budget.spend(at)
    expect(budget.spend(1005)).toBe(250)
    expect(budget.spend(5000)).toBe(100)
  })

  it('does not count a crash at the very end of the window', () => {
    const budget = new CrashBudget({ ...settings, crashBudget: 1 })
    expect(budget.spend(0)).toBe(100)
    expect(budget.spend(1000)).toBe(100)
    expect(budget.spend(1999)).toBeUndefined()
  })

  it('of zero allows no replacement', () => {
    expect(new CrashBudget({ ...settings, crashBudget: 0 }).spend(0)).toBeUndefined()
  })

  it('never returns NaN as a delay, however many crashes there were', () => {
    const budget = new CrashBudget({ ...settings, crashBudget: 5000 })
    let delay: number | undefined
    for (let death = 0; death < 3000; death += 1) delay = budget.spend(0)
    expect(delay).toBe(250)
  })

  it('replaces at once when the back-off is 0', () => {
    const budget = new CrashBudget({ ...settings, restartBackoffMs: 0 })
    expect([0, 1, 2].map((at) => budget.spend(at))).toEqual([0, 0, 0])
  })
})
