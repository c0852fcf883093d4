import { asRuntimeError } from '../../src/protocol/error-codec.js'
import { failure } from '../../src/protocol/failure.js'
import type { PortTask } from '../../src/protocol/replica/replica-task.js'
import type { TaskTransport } from './parent.js'

/** A replica looks for its next task for this time before it goes to sleep: about the time that waking it up takes. */
const SPIN_MS = 0.05
/** Looks between two at the clock. */
const LOOKS = 64
/** The number of tasks too late in a row that stops the looking until some come in time again. */
const MAX_PATIENCE = 4

/** An answer, and the buffers in it that the replica gives up. */
export interface TaskAnswer {
  readonly reply: unknown
  readonly buffers: ArrayBuffer[]
}

/**
 * Answers the tasks that come. A thread that sleeps takes up to 50 us to be woken, so as long as the next task
 * has lately come sooner than that, this one stays awake for it.
 */
export class TaskLoop {
  readonly #transport: TaskTransport
  readonly #answer: (task: PortTask) => Promise<TaskAnswer>
  #idleSinceMs = 0
  #patience = 0

  /** `answer` never rejects. */
  constructor(transport: TaskTransport, answer: (task: PortTask) => Promise<TaskAnswer>) {
    this.#transport = transport
    this.#answer = answer
    transport.listen((task) => void this.#take(task))
  }

  async #take(first: PortTask): Promise<void> {
    for (let task: PortTask | undefined = first; task !== undefined; task = this.#awaitNext()) {
      const isSoon = performance.now() - this.#idleSinceMs <= SPIN_MS
      this.#patience = isSoon ? MAX_PATIENCE : Math.max(0, this.#patience - 1)
      this.#send(await this.#answer(task))
      this.#idleSinceMs = performance.now()
    }
  }

  #send({ reply, buffers }: TaskAnswer): void {
    try {
      this.#transport.send(reply, buffers)
    } catch (error) {
      const cause = asRuntimeError('ERR_INFERENCE', 'the answers cannot be sent', error)
      this.#transport.send(failure(cause), [])
    }
  }

  /** The next task if it comes in time. */
  #awaitNext(): PortTask | undefined {
    if (this.#patience === 0) return undefined
    do {
      for (let look = 0; look < LOOKS; look += 1) if (this.#transport.hasTask) return this.#transport.next()
    } while (performance.now() - this.#idleSinceMs < SPIN_MS)
    return undefined
  }
}
