import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { Server as HttpsServer } from 'node:https'
import { Server as NetServer, type Socket } from 'node:net'

/** A connection on which nothing is asked, or comes in, for so long is not needed. */
const QUIET_MS = 250

/** Parts of Node's own state that have no public name: a connection of HTTP/1, and a server's list of them. */
interface HttpSocket extends Socket {
  /** The response that is due next. */
  readonly _httpMessage?: ServerResponse | null
  /** The connection below, if this one is TLS. */
  readonly _parent?: Socket
}
interface ConnectionsList {
  all(): readonly { readonly socket: HttpSocket | null }[]
}

/** The connections of an HTTP server that is being closed, also those from before. */
export class ServerConnections {
  readonly #server: NetServer
  readonly #isHttp2: boolean
  /** The connections of HTTP/1, which a server of HTTP/2 may have too. */
  readonly #list: ConnectionsList | undefined
  readonly #quiet = new WeakMap<Socket, { readonly bytes: number; readonly sinceMs: number }>()

  constructor(server: NetServer) {
    this.#server = server
    this.#isHttp2 = !(server instanceof HttpServer || server instanceof HttpsServer)
    this.#list = connectionsListOf(server)
  }

  /** Takes no connection any more, and asks clients to leave; resolves when there is none. */
  async end(): Promise<void> {
    const server = this.#server
    server.prependListener('request', closeAfterResponse)
    server.prependListener('stream', closeSession)
    for (const { _httpMessage: response } of this.#httpSockets().values()) {
      if (response) response.shouldKeepAlive = false
    }
    // HTTP/1's own `close` cuts off what is idle just now, although a request may be on its way.
    const stop = this.#isHttp2 ? server.close : NetServer.prototype.close
    await new Promise<void>((resolve) => stop.call(server, () => resolve()))
    server.off('request', closeAfterResponse)
    server.off('stream', closeSession)
  }

  /** Closes the connections that have been quiet for long enough, with no request open. */
  closeQuiet(nowMs: number): void {
    const http = this.#httpSockets()
    for (const socket of this.#sockets()) {
      const bytes = socket.bytesRead
      const httpSocket = http.get(socket)
      // Whether a client of HTTP/2 waits for an answer is not known here; its session ends by itself.
      const isSession = this.#isHttp2 && bytes > 0 && httpSocket === undefined
      const isInUse = isSession || hasRequest(httpSocket)
      const before = this.#quiet.get(socket)
      if (isInUse || before?.bytes !== bytes) this.#quiet.set(socket, { bytes, sinceMs: nowMs })
      else if (nowMs - before.sinceMs >= QUIET_MS) (httpSocket ?? socket).destroySoon()
    }
  }

  /** Cuts every connection off; returns how many had a request open, as far as is known. */
  cutOff(): number {
    const open = [...this.#httpSockets().values()].filter(hasRequest)
    for (const socket of this.#sockets()) socket.destroy()
    return open.length
  }

  /** Returns the connections of HTTP/1, by those below TLS. */
  #httpSockets(): Map<Socket, HttpSocket> {
    const sockets = (this.#list?.all() ?? []).flatMap(({ socket }) => socket ?? [])
    return new Map(sockets.map((socket) => [socket._parent ?? socket, socket]))
  }

  /** Returns every connection, below TLS and HTTP/2, also those that have sent nothing. */
  #sockets(): Socket[] {
    const handles = (process as unknown as { _getActiveHandles(): Socket[] })._getActiveHandles()
    return handles.filter((handle) => (handle as { server?: unknown }).server === this.#server)
  }
}

function connectionsListOf(server: NetServer): ConnectionsList | undefined {
  const key = Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'http.server.connections',
  )
  return key === undefined ? undefined : (server as unknown as Record<symbol, ConnectionsList>)[key]
}

function hasRequest(socket: HttpSocket | undefined): boolean {
  return Boolean(socket?._httpMessage)
}

function closeAfterResponse({ httpVersionMajor }: IncomingMessage, response: ServerResponse): void {
  if (httpVersionMajor === 1) response.shouldKeepAlive = false
}

/** Ends the session once the stream and those beside it are over. */
function closeSession({ session }: ServerHttp2Stream): void {
  session?.close()
}
