import { describe, expect, it } from 'vitest'
import { compareVersions, latestVersion } from '../../src/models/version-order.js'

describe('versions', () => {
  it.each([
    ['semver', '1.9.0', '1.10.0'],
    ['semver, a release after its candidates', '2.0.0-rc.1', '2.0.0'],
    ['semver, candidates by number', '2.0.0-rc.2', '2.0.0-rc.10'],
    ['semver with a leading v', 'v1.9.0', 'v1.10.0'],
    ['whole numbers', '9', '10'],
    ['decimal numbers', '1.5', '2'],
    ['dates as numbers', '20240131', '20240201'],
    ['words by code unit', 'alpha', 'beta'],
    ['capitals before small letters', 'B', 'a'],
    ['a word and a number by code unit', '10', 'a'],
    ['dates with dashes by code unit', '2024-01-31', '2024-02-01'],
  ])('compare as %s', (_, older, newer) => {
    expect(compareVersions(older, newer)).toBeLessThan(0)
    expect(compareVersions(newer, older)).toBeGreaterThan(0)
    expect(compareVersions(newer, newer)).toBe(0)
    expect(latestVersion([older, newer])).toBe(newer)
    expect(latestVersion([newer, older])).toBe(newer)
  })

  it('tell labels apart that mean the same number', () => {
    expect(compareVersions('1', '01')).not.toBe(0)
    expect(compareVersions('1', '1.0')).not.toBe(0)
    expect(compareVersions('1.0.0', 'v1.0.0')).not.toBe(0)
  })

  it('have a latest that does not depend on the order they are found in', () => {
    // 2 < 10 as numbers, 10 < 1a < 2 by code unit: no order at all.
    const circle = ['2', '10', '1a']
    const permutations = circle.flatMap((a) =>
      circle.filter((b) => b !== a).map((b) => [a, b, ...circle.filter((c) => c !== a && c !== b)]),
    )
    expect(new Set(permutations.map((order) => latestVersion(order))).size).toBe(1)
  })

  it('have no latest when there are none', () => {
    expect(latestVersion([])).toBeUndefined()
  })
})
