import { Server as NetServer } from 'node:net'
import { z } from 'zod'
import { parseOptions } from '../config/parse-options.js'
import { durationMs } from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import { ServerConnections } from './server-connections.js'

/**
 * A server of `node:http`, `node:https` or `node:http2` (Express, Koa), or an object with one as `server` (Fastify). See
 * docs/http.md.
 */
export type ClosableServer = NetServer | { readonly server: NetServer }

/** The result of `closeServer`. */
export interface ServerClosing {
  /** Number of connections that were cut off with an open request. */
  readonly cutOff: number
  /** Duration of the close. */
  readonly durationMs: number
}

export const closeServerSchema = z.strictObject({
  timeoutMs: durationMs
    .default(10_000)
    .describe('time limit, after which open requests are cut off; 0 waits for none'),
})
/** Options of `closeServer`. */
export type CloseServerOptions = z.input<typeof closeServerSchema>

/** Interval between two checks for quiet connections. */
const CHECK_INTERVAL_MS = 25

/**
 * Closes an HTTP server without losing a request. It accepts no more connections, responds to the requests it has, and
 * asks clients in each response not to reuse the connection (`connection: close`, GOAWAY). A connection without an open
 * request is closed after 250 ms of silence, even if it has sent nothing or half a request. Connections that are open
 * after `timeoutMs` (default: 10 seconds) are cut off. Call it in a shutdown handler of the phase `readiness`.
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
