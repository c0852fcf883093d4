import { describe, expect, it } from 'vitest'
import { messageOf, runChild } from '../support/run-child.js'

const protocols = ['http', 'https', 'http2'] as const
const everyAnswer = Array(3).fill('answered')

describe('a server that is closed with closeServer', () => {
  it.each(protocols)(
    '(%s) answers the requests that it has accepted, despite connections that send nothing',
    async (protocol) => {
      const child = await runChild('close-server.mjs', { input: { protocol, timeoutMs: 20_000 } })
      const { answers, late, closing } = messageOf(child, 'done')
      expect({ answers, late, closing }).toMatchObject({
        answers: everyAnswer,
        late: 'refused',
        closing: { cutOff: 0 },
      })
      expect(child).toMatchObject({ code: 0, signal: null })
    },
  )

  it.each(protocols)('(%s) cuts off requests that are not answered within timeoutMs', async (protocol) => {
    const child = await runChild('close-server.mjs', { input: { protocol, timeoutMs: 300, isStuck: true } })
    const { answers, closing } = messageOf(child, 'done')
    expect(answers).toEqual(Array(3).fill('cut off'))
    // HTTP/2 does not reveal which connections wait.
    expect(closing).toMatchObject({ cutOff: protocol === 'http2' ? 0 : 3 })
    expect(child).toMatchObject({ code: 0, signal: null })
  })

  it('loses no request of clients that reuse their connections', async () => {
    const child = await runChild('close-server.mjs', {
      input: { protocol: 'http', timeoutMs: 20_000, callers: 20 },
    })
    const { answers, failed, closing } = messageOf(child, 'done')
    expect({ failed, closing }).toMatchObject({ failed: {}, closing: { cutOff: 0 } })
    expect(answers).toEqual(everyAnswer)
    expect(child).toMatchObject({ code: 0, signal: null })
  })
})
