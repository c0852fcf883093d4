import { expect, it } from 'vitest'
import { SwapTicket } from '../../../../src/models/registry/swap-ticket.js'

it('a ticket that no swap has superseded has no error', () => {
  expect(new SwapTicket('vad', '6').error).toBeUndefined()
})

it('a ticket is not superseded once its swap is decided', () => {
  const ticket = new SwapTicket('vad', '6')
  ticket.decide()
  ticket.supersede('7')
  expect(ticket.error).toBeUndefined()
})

it('a superseded ticket rejects, stops its swap and names both versions', async () => {
  const ticket = new SwapTicket('vad', '6')
  ticket.supersede('7')
  const error = { code: 'ERR_SWAP_SUPERSEDED', model: 'vad', version: '6' }
  await expect(ticket.superseded).rejects.toMatchObject(error)
  await expect(ticket.superseded).rejects.toThrow(/6 .*7/)
  expect(ticket.error).toMatchObject(error)
})

it('the rejection of a ticket that no caller awaits is not reported as unhandled', async () => {
  let unhandled = 0
  const count = (): void => {
    unhandled += 1
  }
  process.on('unhandledRejection', count)
  try {
    new SwapTicket('vad', '6').supersede('7')
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    expect(unhandled).toBe(0)
  } finally {
    process.off('unhandledRejection', count)
  }
})
