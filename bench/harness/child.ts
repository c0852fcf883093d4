import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** Exit code or signal of a child process. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

interface Message<Result> {
  readonly result?: Result
  readonly report?: { readonly kind: string; readonly value: unknown }
}

/** A child process of the bench: receives one order, may report progress, and ends with a result. */
export class BenchChild<Result> implements Disposable {
  /** Resolves when the process has exited; never rejects. */
  readonly ended: Promise<Ending>
  readonly #process: ChildProcess
  readonly #reports = new Map<string, unknown>()
  readonly #onReport: (kind: string, value: unknown) => void
  #whenReported: () => void = () => undefined
  #result: Result | undefined

  constructor(
    script: URL,
    order: unknown,
    onReport: (kind: string, value: unknown) => void = () => undefined,
  ) {
    this.#onReport = onReport
    this.#process = fork(fileURLToPath(script), [], {
      serialization: 'advanced',
      execArgv: [],
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    })
    this.#process.on('message', (message: Message<Result>) => this.#receive(message))
    this.ended = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => resolve({ code, signal }))
    })
    this.#process.send({ order })
  }

  /** Resolves with the latest report of `kind`, as soon as there is one. */
  async report<Report>(kind: string): Promise<Report> {
    while (!this.#reports.has(kind)) {
      const reported = new Promise<void>((resolve) => {
        this.#whenReported = resolve
      })
      const ending = await Promise.race([reported, this.ended])
      if (ending !== undefined && !this.#reports.has(kind))
        throw new Error(`a bench process exited early: ${show(ending)}`)
    }
    return this.#reports.get(kind) as Report
  }

  send(message: unknown): void {
    this.#process.send({ message })
  }

  /** Resolves with the result once the process has exited with code 0; rejects after `timeoutMs`, if defined. */
  async result(timeoutMs?: number): Promise<Result> {
    const ending = await (timeoutMs === undefined ? this.ended : this.#endedWithin(timeoutMs))
    if (this.#result === undefined || ending.code !== 0) {
      throw new Error(`a bench process exited without a result: ${show(ending)}`)
    }
    return this.#result
  }

  /** Kills the process if it still runs: SIGKILL, since a handler could not end threads inside a run. */
  [Symbol.dispose](): void {
    // A process that could not be started has no id, and the signal would reach another one.
    if (this.#process.pid !== undefined) this.#process.kill('SIGKILL')
  }

  async #endedWithin(timeoutMs: number): Promise<Ending> {
    const ending = await Promise.race([this.ended, sleep(timeoutMs, undefined, { ref: false })])
    if (ending === undefined) throw new Error(`a bench process has not exited within ${timeoutMs / 1_000} s`)
    return ending
  }

  #receive({ result, report }: Message<Result>): void {
    if (result !== undefined) this.#result = result
    if (report === undefined) return
    this.#reports.set(report.kind, report.value)
    this.#onReport(report.kind, report.value)
    this.#whenReported()
  }
}

/** Runs `script` with `order` in a child process; resolves with its result. */
export async function runChild<Result>(script: URL, order: unknown, timeoutMs?: number): Promise<Result> {
  using child = new BenchChild<Result>(script, order)
  return await child.result(timeoutMs)
}

/** Returns true if the process was aborted. */
export function isAbort({ code, signal }: Ending): boolean {
  return signal === 'SIGABRT' || code === 134
}

function show({ code, signal }: Ending): string {
  return signal ?? `exit code ${code}`
}

/** The parent process, as a child process sees it. */
export interface Parent {
  report(kind: string, value?: unknown): void
  /** Resolves with the next message of the parent. */
  nextMessage(): Promise<unknown>
}

/** Runs `work` with the order of the parent process, sends the result to the parent and disconnects from it. */
export function runOrder<Order, Result>(work: (order: Order, parent: Parent) => Promise<Result>): void {
  const parent: Parent = {
    report: (kind, value) => process.send?.({ report: { kind, value } }),
    nextMessage: async () => {
      const [{ message }] = (await once(process, 'message')) as [{ message: unknown }]
      return message
    },
  }
  const orphaned = (): boolean => process.kill(process.pid, 'SIGKILL')
  // An interrupted bench must not leave busy processes behind.
  process.once('disconnect', orphaned)
  process.once('message', ({ order }: { order: Order }) => {
    void work(order, parent).then((result) => {
      process.off('disconnect', orphaned)
      process.send?.({ result }, () => process.disconnect())
    })
  })
}
