import { expect, it, vi } from 'vitest'
import { errorOf } from '../../support/runtime-harness.js'
import { damaged } from '../../support/simulated-loaders.js'
import { advance, machine, runtime, start, useSimulatedRuntime } from '../../support/simulated-runtime.js'
import { type Line, listLogger } from '../../support/test-logger.js'

useSimulatedRuntime()

it('a failure at the end of a pool in the background is one error line, and no unhandled rejection', async () => {
  const lines: Line[] = []
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  const mistake = new Error('the allocator fails')
  const reclaim = vi.fn(machine.reclaim).mockRejectedValueOnce(mistake)
  machine.reclaim = reclaim
  machine.write('/m.onnx', damaged)
  await start({ logger: listLogger(lines) })
  const loading = runtime.models.loadModel({ name: 'm', version: '1', source: '/m.onnx' })
  expect(await errorOf(loading)).toMatchObject({ code: 'ERR_MODEL_LOAD' })
  await advance(0)
  process.off('unhandledRejection', unhandled)
  expect(reclaim).toHaveBeenCalledTimes(1)
  expect(lines.filter(({ message }) => message === 'pool teardown failed')).toEqual([
    { level: 'error', message: 'pool teardown failed', fields: { err: mistake } },
  ])
  expect(unhandled).not.toHaveBeenCalled()
})
