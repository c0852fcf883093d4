import { describe, expect, it } from 'vitest'
import { compareVersions, newestVersions } from '../../../../src/models/registry/version-order.js'

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((item, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  )
}

describe('the version order', () => {
  it.each([
    ['semantic versions', '1.9.0', '1.10.0'],
    ['a release and its candidate', '2.0.0-rc.1', '2.0.0'],
    ['candidates by number', '2.0.0-rc.2', '2.0.0-rc.10'],
    ['semantic versions with a leading v', 'v1.9.0', 'v1.10.0'],
    ['builds of one version', '1.0.0+1', '1.0.0+2'],
    ['whole numbers', '9', '10'],
    ['whole numbers with a leading v', 'v9', 'v10'],
    ['a leading v on one side only', 'v9', '10'],
    ['decimal numbers', '2.9', '2.10'],
    ['numbers of unequal length', '1.5', '2'],
    ['a number and the same one with a zero behind it', '1', '1.0'],
    ['a semantic version and a number', '1.9.0', '2'],
    ['a number and its candidate', '2-rc.1', '2'],
    ['a number and the candidate of a semantic version', '2.0.0-rc.1', '2'],
    ['numbers that no double holds', '9007199254740993', '9007199254740995'],
    ['dates as numbers', '20240131', '20240201'],
    ['dates with dots', '2024.01.31', '2024.02.01'],
    ['dates with dashes', '2024-01-31', '2024-02-01'],
    ['dates with dashes and no leading zeros', '2024-1-9', '2024-1-10'],
    ['times', '20240131T120000', '20240131T130000'],
    ['a text before the number', 'release-2', 'release-10'],
    ['a text before the number, without a dash', 'v_2', 'v_10'],
    ['a number that follows another one', 'release-2', 'release-2.1'],
    ['a number before a text', '9-large', '10-large'],
    ['a number before different texts', '9-small', '10-large'],
  ])('compares %s', (_, older, newer) => {
    expect(compareVersions(older, newer)).toBeLessThan(0)
    expect(compareVersions(newer, older)).toBeGreaterThan(0)
    expect(compareVersions(newer, newer)).toBe(0)
    for (const labels of permutations([older, newer])) expect(newestVersions(labels)).toEqual([newer])
  })

  it.each([
    ['words', 'alpha', 'beta'],
    ['different texts before the number', 'release-2', 'v9'],
    ['a text before one of the numbers only', 'release-2', '9'],
    ['different texts behind the same number', '1-small', '1-large'],
    ['a text behind one of the versions', 'release-2', 'release-2-small'],
    ['hashes', 'a1b2c3d', 'e4f5a6b'],
    ['two spellings of a number', '1', '01'],
    ['two spellings of a semantic version', '1.0.0', 'v1.0.0'],
  ])('does not decide between %s', (_, one, other) => {
    expect(compareVersions(one, other)).toBeUndefined()
    expect(compareVersions(other, one)).toBeUndefined()
    for (const labels of permutations([one, other])) expect(newestVersions(labels)).toEqual(labels)
  })

  it.each([
    [['9', '10', 'backup'], ['10']],
    [['9', '10', 'current'], ['10']],
    [['v9', 'v10', 'latest', 'lost+found'], ['v10']],
    [['1', '2', 'a1b2c3d4'], ['2']],
    [['1.9.0', '1.10.0', 'old'], ['1.10.0']],
    [['2', '10', '1a'], ['10']],
    [
      ['9', '10', 'release-11'],
      ['10', 'release-11'],
    ],
    [['production'], ['production']],
    [[], []],
  ])('among %j finds the latest %j, in whatever order they are listed', (labels, newest) => {
    for (const order of permutations(labels)) expect(newestVersions(order).sort()).toEqual(newest)
  })
})
