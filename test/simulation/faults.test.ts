import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { FAULTS } from './faults.js'

it.each(FAULTS)('the code of the fault stands in exactly one place: $name', ({ file, text, replacement }) => {
  const code = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
  expect(code.split(text)).toHaveLength(2)
  expect(replacement).not.toBe(text)
})
