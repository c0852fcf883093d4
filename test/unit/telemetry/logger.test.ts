import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { createRuntime } from '../../../src/create-runtime.js'
import { LifecycleManager } from '../../../src/lifecycle/lifecycle-manager.js'
import { ResourceLifecycleManager } from '../../../src/resources/resource-manager.js'

const makers: [string, (options: never) => unknown][] = [
  ['createRuntime', (options) => createRuntime(options)],
  ['LifecycleManager', (options) => new LifecycleManager(options)],
  ['ResourceLifecycleManager', (options) => new ResourceLifecycleManager(options)],
]

describe.each(makers)('%s', (name, make) => {
  it.each([
    ['the console', { logger: console }, /`logger` must have .* it lacks fatal, child$/],
    ['an empty logger', { logger: {} }, /it lacks fatal, error, warn, info, debug, trace, child$/],
    ['no logger at all', { logger: null }, /`logger` must have/],
    ['null', null, /the options must be an object, not null$/],
    ['text', './models', /the options must be an object, not '\.\/models'$/],
  ])('refuses %s', async (_, options, message) => {
    const refused = async (): Promise<unknown> => make(options as never)
    await expect(refused()).rejects.toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
    await expect(refused()).rejects.toThrow(message)
    await expect(refused()).rejects.toThrow(new RegExp(`^${name}: `))
  })
})

it('a pino logger of the application is accepted', () => {
  expect(() => new LifecycleManager({ logger: pino({ level: 'silent' }) })).not.toThrow()
})
