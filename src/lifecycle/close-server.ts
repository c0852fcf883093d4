import { Server as NetServer } from 'node:net'
import { z } from 'zod'
import { parseOptions } from '../config/parse-options.js'
import { durationMs } from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import { ServerConnections } from './server-connections.js'

/** A server of `node:http`, `node:https` or `node:http2` (Express, Koa), or what holds one as `server` (Fastify). See docs/http.md. */
export type ClosableServer = NetServer | { readonly server: NetServer }

export interface ServerClosing {
  /** Connections that were cut off with a request that was not answered in time. */
  readonly cutOff: number
  readonly durationMs: number
}

export const closeServerSchema = z.strictObject({
  timeoutMs: durationMs
    .default(10_000)
    .describe('requests that are not answered by then are cut off; 0 waits for none'),
})
export type CloseServerOptions = z.input<typeof closeServerSchema>

/** The connections are looked at so often. */
const CHECK_INTERVAL_MS = 25

/**
 * Closes an HTTP server without losing a request: it takes no connection any more, answers what it has accepted,
 * and asks clients by each answer not to use its connection again (`connection: close`, GOAWAY). A connection on
 * which nothing is asked for 250 ms is closed, also one that has sent nothing, or half a request. What is left
 * after `timeoutMs` is cut off. To be called in a shutdown handler of the phase `readiness`.
 * @throws ERR_INVALID_OPTIONS
 */
export async function closeServer(
  target: ClosableServer,
  options: CloseServerOptions = {},
): Promise<ServerClosing> {
  const { timeoutMs } = parseOptions(closeServerSchema, options, 'closeServer')
  const server = target instanceof NetServer ? target : target?.server
  if (!(server instanceof NetServer)) {
    throw new errors.ERR_INVALID_OPTIONS(
      'closeServer: the server must be one of node:http, node:https or node:http2, or have it as `server`',
    )
  }
  const startedAtMs = performance.now()
  const endsAtMs = startedAtMs + timeoutMs
  const connections = new ServerConnections(server)
  let cutOff = 0
  const timer = setInterval(() => {
    const nowMs = performance.now()
    if (nowMs < endsAtMs) connections.closeQuiet(nowMs)
    else cutOff += connections.cutOff()
  }, CHECK_INTERVAL_MS)
  try {
    await connections.end()
  } finally {
    clearInterval(timer)
  }
  return { cutOff, durationMs: performance.now() - startedAtMs }
}
