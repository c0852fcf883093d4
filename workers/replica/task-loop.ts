import { asRuntimeError } from '../../src/protocol/error-codec.js'
import { failure } from '../../src/protocol/failure.js'
import type { PortTask } from '../../src/protocol/replica/replica-task.js'
import type { TaskTransport } from './parent.js'

/** Time for which a replica polls for its next task before it sleeps: about the time that waking it takes. */
const SPIN_MS = 0.05
/** Number of polls between two readings of the clock. */
const LOOKS = 64
/** Number of tasks in a row that came too late after which polling stops, until a task comes in time again. */
const MAX_PATIENCE = 4

/** A reply, and its buffers, which are transferred. */
export interface TaskAnswer {
  readonly reply: unknown
  readonly buffers: ArrayBuffer[]
}

/**
 * Handles tasks as they come. Waking a sleeping thread takes up to 50 us, so the thread stays awake and polls
 * while the last tasks came sooner than that.
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
      const cause = asRuntimeError('ERR_INFERENCE', 'the outputs cannot be sent', error)
      this.#transport.send(failure(cause), [])
    }
  }

  /** Returns the next task if it comes in time; undefined if not. */
  #awaitNext(): PortTask | undefined {
    if (this.#patience === 0) return undefined
    do {
      for (let look = 0; look < LOOKS; look += 1) if (this.#transport.hasTask) return this.#transport.next()
    } while (performance.now() - this.#idleSinceMs < SPIN_MS)
    return undefined
  }
}
