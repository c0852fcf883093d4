import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { errors, isRuntimeError } from '../../../src/errors/errors.js'
import { LifecycleManager } from '../../../src/lifecycle/lifecycle-manager.js'
import { logOnce } from '../../../src/telemetry/log-once.js'
import { safeLogger } from '../../../src/telemetry/safe-logger.js'

interface LoggedError {
  readonly type: string
  readonly message: string
  readonly stack: string
  readonly code?: string
}

/** Returns a pino logger of an application, and the errors that it writes. */
function hostLogger() {
  const logged: LoggedError[] = []
  const write = (line: string): void => {
    const { err } = JSON.parse(line) as { err?: LoggedError }
    if (err !== undefined) logged.push(err)
  }
  return { logger: pino({ level: 'info' }, { write }), logged }
}

function loggedAs(err: unknown): LoggedError {
  const { logger, logged } = hostLogger()
  safeLogger(logger).error({ err }, 'failed')
  return logged[0] as LoggedError
}

const refused = new Error('connect ECONNREFUSED')
const unavailable = new Error('no database', { cause: refused })

describe('an error in a log line of pino', () => {
  it('contains a cause only once if its message includes it, and keeps both stacks', () => {
    const error = new errors.ERR_STARTUP(`the start failed: ${refused.message}`, { cause: refused })
    const { message, stack, type, code } = loggedAs(error)
    expect(message).toBe('the start failed: connect ECONNREFUSED')
    expect(stack).toBe(`${error.stack}\ncaused by: ${refused.stack}`)
    expect({ type, code }).toEqual({ type: 'StartupError', code: 'ERR_STARTUP' })
  })

  it('contains a cause that its message does not include', () => {
    const error = new errors.ERR_STARTUP('the start failed', { cause: unavailable })
    expect(loggedAs(error).message).toBe('the start failed: no database: connect ECONNREFUSED')
  })

  it('contains the cause behind a cause that its message includes', () => {
    const error = new errors.ERR_STARTUP('the start failed: no database', { cause: unavailable })
    const { message, stack } = loggedAs(error)
    expect(message).toBe('the start failed: no database: connect ECONNREFUSED')
    expect(stack).toBe([error.stack, unavailable.stack, refused.stack].join('\ncaused by: '))
  })

  it('contains a cause only once if the message of another cause includes it', () => {
    const inner = new errors.ERR_STARTUP(`the start failed: ${refused.message}`, { cause: refused })
    expect(loggedAs(new Error('of the host', { cause: inner })).message).toBe(
      'of the host: the start failed: connect ECONNREFUSED',
    )
  })

  it('contains circular causes', () => {
    const first = new Error('first')
    const second = new Error('second', { cause: first })
    first.cause = second
    expect(loggedAs(first).message).toBe('first: second')
  })

  it('lists the failures of handlers once, at the start and at the end', async () => {
    const { logger, logged } = hostLogger()
    const fail = (): never => {
      throw refused
    }
    const starting = new LifecycleManager({ logger, handleSignals: false })
    starting.addStartupHandler(fail, { name: 'database' })
    await expect(starting.startup()).rejects.toMatchObject({ code: 'ERR_STARTUP', cause: refused })
    const stopping = new LifecycleManager({ logger, handleSignals: false })
    stopping.addShutdownHandler(fail, { name: 'database' })
    await stopping.startup()
    await expect(stopping.shutdown()).rejects.toMatchObject({ code: 'ERR_SHUTDOWN' })
    expect(new Set(logged.map(({ message }) => message))).toEqual(
      new Set([
        'startup handler "database" failed: connect ECONNREFUSED',
        'shutdown handler "database" failed: connect ECONNREFUSED',
      ]),
    )
  })
})

describe('the error passed to a logger', () => {
  it('is the original one if nothing would be logged twice', () => {
    for (const error of [refused, unavailable, 'text', undefined, null]) expect(logOnce(error)).toBe(error)
  })

  it('is a copy of the same class otherwise, and the original is not changed', () => {
    const error = new errors.ERR_MODEL_LOAD('no: refused', { model: 'm', cause: new Error('refused') })
    const copy = logOnce(error)
    expect(copy).not.toBe(error)
    expect(isRuntimeError(copy)).toBe(true)
    expect(copy).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'm', message: 'no: refused' })
    expect(error.cause).toMatchObject({ message: 'refused' })
  })

  it('is the original one if it cannot be read', () => {
    const hostile = Object.defineProperty(new Error('x'), 'cause', {
      get: () => {
        throw new Error('not to be read')
      },
    })
    expect(logOnce(hostile)).toBe(hostile)
  })
})
