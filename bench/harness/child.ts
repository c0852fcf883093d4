import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** How a child process ended. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

interface Message<Result> {
  readonly result?: Result
  readonly report?: { readonly kind: string; readonly value: unknown }
}

/** A child process of the bench: gets one order, may report on the way, ends with a result. */
export class BenchChild<Result> implements Disposable {
  /** Resolves, never rejects, when the process is gone. */
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

  /** The latest report of that kind, once there is one. */
  async report<Report>(kind: string): Promise<Report> {
    while (!this.#reports.has(kind)) {
      const reported = new Promise<void>((resolve) => {
        this.#whenReported = resolve
      })
      const ending = await Promise.race([reported, this.ended])
      if (ending !== undefined && !this.#reports.has(kind))
        throw new Error(`a bench process ended early: ${show(ending)}`)
    }
    return this.#reports.get(kind) as Report
  }

  tell(message: unknown): void {
    this.#process.send({ told: message })
  }

  /** The result, once the process has ended well; within that time, if one is given. */
  async result(timeoutMs?: number): Promise<Result> {
    const ending = await (timeoutMs === undefined ? this.ended : this.#endedWithin(timeoutMs))
    if (this.#result === undefined || ending.code !== 0) {
      throw new Error(`a bench process ended without a result: ${show(ending)}`)
    }
    return this.#result
  }

  /** Ends the process if it has not ended: SIGKILL, since a handler could not end threads inside a run. */
  [Symbol.dispose](): void {
    // One that could not be started has no number: the signal would reach an arbitrary process.
    if (this.#process.pid !== undefined) this.#process.kill('SIGKILL')
  }

  async #endedWithin(timeoutMs: number): Promise<Ending> {
    const ending = await Promise.race([this.ended, sleep(timeoutMs, undefined, { ref: false })])
    if (ending === undefined) throw new Error(`a bench process has not ended within ${timeoutMs / 1_000} s`)
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

export function isAbort({ code, signal }: Ending): boolean {
  return signal === 'SIGABRT' || code === 134
}

function show({ code, signal }: Ending): string {
  return signal ?? `exit code ${code}`
}

/** The child's side. */
export interface Parent {
  report(kind: string, value?: unknown): void
  /** Resolves with what the parent tells next. */
  told(): Promise<unknown>
}

/** Does in this process what the parent has ordered, sends the result and ends. */
export function fulfil<Order, Result>(work: (order: Order, parent: Parent) => Promise<Result>): void {
  const parent: Parent = {
    report: (kind, value) => process.send?.({ report: { kind, value } }),
    told: async () => {
      const [message] = (await once(process, 'message')) as [{ told: unknown }]
      return message.told
    },
  }
  const orphaned = (): boolean => process.kill(process.pid, 'SIGKILL')
  // A bench that was interrupted must not leave busy processes behind.
  process.once('disconnect', orphaned)
  process.once('message', ({ order }: { order: Order }) => {
    void work(order, parent).then((result) => {
      process.off('disconnect', orphaned)
      process.send?.({ result }, () => process.disconnect())
    })
  })
}
