import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { Server as HttpsServer } from 'node:https'
import { Server as NetServer, type Socket } from 'node:net'

/** Time without an open request or incoming data after which a connection is closed. */
const QUIET_MS = 250

/** Internal state of Node without a public name: a connection of HTTP/1, and a server's list of them. */
interface HttpSocket extends Socket {
  /** The response that is due next. */
  readonly _httpMessage?: ServerResponse | null
  /** The underlying connection of a TLS connection. */
  readonly _parent?: Socket
}
interface ConnectionsList {
  all(): readonly { readonly socket: HttpSocket | null }[]
}

/** The connections of an HTTP server that is being closed, including those opened before. */
export class ServerConnections {
  readonly #server: NetServer
  readonly #isHttp2: boolean
  /** The HTTP/1 connections, which an HTTP/2 server may have too. */
  readonly #list: ConnectionsList | undefined
  readonly #quiet = new WeakMap<Socket, { readonly bytes: number; readonly sinceMs: number }>()

  constructor(server: NetServer) {
    this.#server = server
    this.#isHttp2 = !(server instanceof HttpServer || server instanceof HttpsServer)
    this.#list = connectionsListOf(server)
  }

  /** Accepts no more connections and asks clients to close theirs; resolves when none is left. */
  async end(): Promise<void> {
    const server = this.#server
    server.prependListener('request', closeAfterResponse)
    server.prependListener('stream', closeSession)
    for (const { _httpMessage: response } of this.#httpSockets().values()) {
      if (response) response.shouldKeepAlive = false
    }
    // The `close` of HTTP/1 servers cuts off idle connections, although a request may be on its way.
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
      // An HTTP/2 session may have open requests that are not visible here; it ends by itself.
      const isSession = this.#isHttp2 && bytes > 0 && httpSocket === undefined
      const isInUse = isSession || hasRequest(httpSocket)
      const before = this.#quiet.get(socket)
      if (isInUse || before?.bytes !== bytes) this.#quiet.set(socket, { bytes, sinceMs: nowMs })
      else if (nowMs - before.sinceMs >= QUIET_MS) (httpSocket ?? socket).destroySoon()
    }
  }

  /** Cuts every connection off; returns the number of those with an open request, as far as that is known. */
  cutOff(): number {
    const open = [...this.#httpSockets().values()].filter(hasRequest)
    for (const socket of this.#sockets()) socket.destroy()
    return open.length
  }

  /** Returns the HTTP/1 connections by their underlying connections, which differ from them for TLS. */
  #httpSockets(): Map<Socket, HttpSocket> {
    const sockets = (this.#list?.all() ?? []).flatMap(({ socket }) => socket ?? [])
    return new Map(sockets.map((socket) => [socket._parent ?? socket, socket]))
  }

  /** Returns every underlying connection, including those that have sent nothing. */
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

/** Makes the server close an HTTP/1 connection after the response. */
function closeAfterResponse({ httpVersionMajor }: IncomingMessage, response: ServerResponse): void {
  if (httpVersionMajor === 1) response.shouldKeepAlive = false
}

/** Ends an HTTP/2 session once its open streams are over. */
function closeSession({ session }: ServerHttp2Stream): void {
  session?.close()
}
