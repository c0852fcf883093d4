import { expect, it } from 'vitest'
import { NO_ROUTES, promoted, renewed, without } from '../../../../src/models/registry/routes.js'
import type { ModelVersion } from '../../../../src/models/version/model-version.js'

/** Returns a version with a label, the only field that routes read. */
const versionOf = (version: string): ModelVersion => ({ spec: { version } }) as ModelVersion
const [one, two] = [versionOf('1'), versionOf('2')] as const

it('a promotion keeps the label of the previous version', () => {
  const first = promoted(NO_ROUTES, one)
  expect(first).toEqual({ active: one, previous: undefined })
  expect(promoted(first, two)).toEqual({ active: two, previous: '1' })
})

it('a promotion of the active version changes nothing', () => {
  const routes = promoted(promoted(NO_ROUTES, one), two)
  expect(promoted(routes, two)).toBe(routes)
})

it('a model without an active version can still roll back', () => {
  const routes = without(promoted(promoted(NO_ROUTES, one), two), two)
  expect(routes).toEqual({ active: undefined, previous: '1' })
  expect(promoted(routes, one)).toEqual({ active: one, previous: '1' })
})

it('registering a version again replaces the active one only if that has the same label', () => {
  const routes = promoted(NO_ROUTES, one)
  const anew = versionOf('1')
  expect(renewed(routes, one, anew)).toEqual({ active: anew, previous: undefined })
  expect(renewed(routes, two, anew)).toBe(routes)
  expect(without(routes, two)).toBe(routes)
})
