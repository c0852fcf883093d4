import { fileURLToPath } from 'node:url'
import { expect, it, vi } from 'vitest'
import { createRuntime } from '../../../src/create-runtime.js'
import { Allocator } from '../../../src/memory/allocator.js'
import type { FakeTask } from '../../support/fake-host.js'
import { type Line, listLogger } from '../../support/test-logger.js'

vi.mock('../../../src/hosts/piscina-host.js', async () => {
  const { FakeHost } = await import('../../support/fake-host.js')
  return {
    PiscinaHost: class extends FakeHost {
      constructor() {
        super('m')
        this.onTask = ({ host, message, reply }: FakeTask) => {
          if (message.kind === 'load') host.failLoad()
          else reply({ ok: true })
        }
      }
    },
  }
})

it('the end of a pool that fails in the background is one error line, and no unhandled rejection', async () => {
  const lines: Line[] = []
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  await using runtime = await createRuntime({ logger: listLogger(lines) })
  const mistake = new Error('the allocator fails')
  const reclaim = vi.spyOn(Allocator.prototype, 'reclaim').mockRejectedValueOnce(mistake)
  const source = fileURLToPath(import.meta.url)
  await expect(runtime.models.loadModel({ name: 'm', version: '1', source })).rejects.toMatchObject({
    code: 'ERR_MODEL_LOAD',
  })
  const failures = (): Line[] => lines.filter(({ message }) => message === 'pool teardown failed')
  await vi.waitFor(() => expect(failures()).not.toEqual([]))
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  process.off('unhandledRejection', unhandled)
  expect(reclaim).toHaveBeenCalledTimes(1)
  expect(failures()).toEqual([{ level: 'error', message: 'pool teardown failed', fields: { err: mistake } }])
  expect(unhandled).not.toHaveBeenCalled()
})
