import { expect, it } from 'vitest'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { type ChildResult, messageOf, runChild } from '../support/run-child.js'

interface Serving {
  readonly y: number
  readonly parts: readonly string[]
  readonly isSame: boolean
  readonly slots: number
  readonly handled: number
  readonly listeners: Readonly<Record<string, number>>
}

/** Serves with the ES module and the CommonJS bundle, beside parts with these names, until SIGTERM. */
async function serveTwice(others: readonly string[]): Promise<ChildResult> {
  using folder = tempFolder()
  using repository = tempRepository({ answer: { '1': constantAnswer(1) } })
  const models = [{ name: 'answer', version: '1', source: repository.path('answer', '1') }]
  const child = await runChild('two-copies.mjs', { input: { others, folder: folder.path, models } })
  expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
  return child
}

function closedIn(child: ChildResult): unknown[] {
  return child.messages.filter(({ kind }) => kind === 'closed').map(({ index }) => index)
}

it('an import of the package, in both its forms, changes nothing in the process', async () => {
  const { before, imported, isTwo } = messageOf(await serveTwice([]), 'imported')
  expect(isTwo).toBe(true)
  expect(imported).toEqual(before)
})

it.each([
  ['alone in the process', []],
  ['beside the state of older and newer versions', ['signals/0', 'replica-guard/2', 'builders/9', 'other/1']],
])('two copies share every part of the state of the process, %s', async (_, others) => {
  const child = await serveTwice(others)
  const { serving, touches, isLeft } = messageOf(child, 'serving')
  const [first, second] = serving as [Serving, Serving]
  expect([first.y, second.y]).toEqual([2, 2])
  expect(first.parts).toEqual(expect.arrayContaining(['replica-guard/1', 'signals/1', 'loads/1', 'libc/1']))
  expect(second.parts).toEqual(first.parts)
  expect(second.isSame).toBe(true)
  expect([first.slots, second.slots]).toEqual([1, 2])
  expect([first.handled, second.handled]).toEqual([1, 2])
  expect(second.listeners).toEqual(first.listeners)
  expect({ touches, isLeft }).toEqual({ touches: 0, isLeft: true })
  // One set of handlers shuts both down, the last one first.
  expect(closedIn(child)).toEqual([1, 0])
})
