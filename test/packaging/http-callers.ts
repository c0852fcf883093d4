import { type EventEmitter, once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'

export type Protocol = 'http' | 'https' | 'http2' | 'http2 without TLS'

/** The outcome of a request on a session that was closed before the server saw it. */
export const NOT_TAKEN = 'not taken'

/** Marks the requests of `Callers`. */
export const MARK = 'x-caller'

/** The number of requests with each outcome: a status, or the code of an error. */
export type Ends = Record<string, number>

const trusting = { rejectUnauthorized: false }
const ignore = (): void => undefined

/**
 * Callers that send one request after another on a connection that is kept open, until no server accepts it.
 */
export class Callers {
  readonly ends: Ends = {}
  readonly done: Promise<unknown>
  readonly #port: number
  readonly #agent: http.Agent
  readonly #protocol: Protocol
  readonly #waiting: { readonly answers: number; readonly resolve: () => void }[] = []

  constructor(protocol: Protocol, port: number, count: number) {
    this.#protocol = protocol
    this.#port = port
    const options = { keepAlive: true, maxSockets: count }
    this.#agent =
      protocol === 'https' ? new https.Agent({ ...options, ...trusting }) : new http.Agent(options)
    const isHttp2 = protocol.startsWith('http2')
    this.done = Promise.all(
      Array.from({ length: count }, () => (isHttp2 ? this.#askBySession() : this.#askByAgent())),
    )
  }

  /** Resolves when `answers` requests have succeeded. */
  answered(answers: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ answers, resolve }))
  }

  #count(end: number | string): void {
    this.ends[end] = (this.ends[end] ?? 0) + 1
    for (const { answers, resolve } of this.#waiting) if ((this.ends[200] ?? 0) >= answers) resolve()
  }

  async #askByAgent(): Promise<void> {
    const { get } = this.#protocol === 'https' ? https : http
    for (;;) {
      const end = await new Promise<number | string>((resolve) => {
        const fail = ({ code }: NodeJS.ErrnoException): void => resolve(code ?? 'failed')
        get(
          { host: '127.0.0.1', port: this.#port, agent: this.#agent, headers: { [MARK]: '1' } },
          (answer) => {
            answer.resume().on('error', fail)
            answer.once('end', () => resolve(answer.statusCode ?? 0))
          },
        ).once('error', fail)
      })
      this.#count(end)
      if (end === 'ECONNREFUSED') return
    }
  }

  async #askBySession(): Promise<void> {
    const scheme = this.#protocol === 'http2' ? 'https' : 'http'
    for (;;) {
      const session = http2.connect(`${scheme}://127.0.0.1:${this.#port}`, trusting)
      const isRefused = new Promise<boolean>((resolve) => {
        session.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'))
        session.once('close', () => resolve(false))
      })
      while (!session.closed && !session.destroyed) {
        const stream = session.request({ ':path': '/', [MARK]: '1' })
        let status: number | undefined
        stream.on('response', (headers) => {
          status = headers[':status']
        })
        stream.on('error', ignore).resume()
        await new Promise<void>((resolve) => stream.once('close', resolve))
        this.#count(status ?? NOT_TAKEN)
      }
      if (await isRefused) return
    }
  }
}

/**
 * Opens connections that send nothing or half a request; `closed` resolves when the server has closed all.
 */
export async function idleConnections(
  protocol: Protocol,
  port: number,
): Promise<{ closed: Promise<unknown> }> {
  const at = { host: '127.0.0.1', port, ...trusting }
  const silent = net.connect(at).resume()
  await once(silent, 'connect')
  const open: EventEmitter[] = [silent]
  if (protocol.startsWith('http2')) {
    const session = http2.connect(`${protocol === 'http2' ? 'https' : 'http'}://127.0.0.1:${port}`, trusting)
    await once(session, 'connect')
    open.push(session)
  } else {
    const half = protocol === 'https' ? tls.connect(at) : net.connect(at)
    await once(half, protocol === 'https' ? 'secureConnect' : 'connect')
    half.resume().write('GET / HTTP/1.1\r\nHost: ')
    open.push(half)
  }
  const ends = open.map(
    (each) => new Promise<void>((resolve) => each.on('error', ignore).once('close', () => resolve())),
  )
  return { closed: Promise.all(ends) }
}
