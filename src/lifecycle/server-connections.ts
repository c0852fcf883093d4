import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { Server as HttpsServer } from 'node:https'
import { Server as NetServer, type Socket } from 'node:net'

/** A connection on which nothing is asked, or comes in, for so long is not needed. */
const QUIET_MS = 250

/** What Node keeps of a connection of HTTP/1 and of its server; reached by what they are called there. */
interface HttpSocket extends Socket {
  /** The answer that is due next. */
  readonly _httpMessage?: ServerResponse | null
  /** Of TLS: the connection below. */
  readonly _parent?: Socket
}
interface ConnectionsList {
  all(): readonly { readonly socket: HttpSocket | null }[]
}

/** The connections of an HTTP server that is being closed, also those from before. */
export class ServerConnections {
  readonly #server: NetServer
  readonly #isHttp2: boolean
  /** Of HTTP/1, also where a server of HTTP/2 speaks it too. */
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
    server.prependListener('request', askToLeave)
    server.prependListener('stream', closeSession)
    for (const { _httpMessage: answer } of this.#httpSockets()) {
      if (answer) answer.shouldKeepAlive = false
    }
    // HTTP/1's own `close` cuts off what is idle just now, although a request may be on its way.
    const stop = this.#isHttp2 ? server.close : NetServer.prototype.close
    await new Promise<void>((resolve) => stop.call(server, () => resolve()))
    server.off('request', askToLeave)
    server.off('stream', closeSession)
  }

  /** Closes the connections that have been quiet for long enough, with no request open. */
  closeQuiet(nowMs: number): void {
    const busy = this.#busy()
    const secured = new Map(this.#httpSockets().map((socket) => [socket._parent ?? socket, socket]))
    for (const socket of this.#sockets()) {
      const bytes = socket.bytesRead
      // Whether a client of HTTP/2 waits for an answer is not known here; its session ends by itself.
      const isSession = this.#isHttp2 && bytes > 0 && !secured.has(socket)
      const isInUse = isSession || busy.has(socket)
      const before = this.#quiet.get(socket)
      if (isInUse || before?.bytes !== bytes) this.#quiet.set(socket, { bytes, sinceMs: nowMs })
      else if (nowMs - before.sinceMs >= QUIET_MS) (secured.get(socket) ?? socket).destroySoon()
    }
  }

  /** Cuts every connection off; returns how many had a request open, as far as is known. */
  cutOff(): number {
    const busy = this.#busy().size
    for (const socket of this.#sockets()) socket.destroy()
    return busy
  }

  #busy(): Set<Socket> {
    const open = this.#httpSockets().filter(({ _httpMessage: answer }) => answer)
    return new Set(open.map((socket) => socket._parent ?? socket))
  }

  #httpSockets(): HttpSocket[] {
    return (this.#list?.all() ?? []).flatMap(({ socket }) => socket ?? [])
  }

  /** Below TLS and HTTP/2, and also those that have sent nothing. */
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

function askToLeave({ httpVersionMajor }: IncomingMessage, answer: ServerResponse): void {
  if (httpVersionMajor === 1) answer.shouldKeepAlive = false
}

/** Once the stream and those beside it are over. */
function closeSession({ session }: ServerHttp2Stream): void {
  session?.close()
}
