import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Arguments, parseArguments, USAGE } from './arguments.js'
import { printProgram } from './program.js'
import type { Order, Report } from './worker.js'

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))
/** A program takes milliseconds; one without a report for this time never ends. */
const HANG_MS = 30_000
const WATCH_MS = 1_000

/** A process that runs programs. */
interface Worker {
  readonly child: ChildProcess
  /** The seed of the program that it runs. */
  seed: number
  heardAtMs: number
}

/** Runs programs in separate processes; the first failure ends all of them. */
class Simulation {
  readonly #args: Arguments
  readonly #workers = new Set<Worker>()
  readonly #startedAtMs = performance.now()
  #programs = 0
  #steps = 0
  #hasFailed = false

  constructor(args: Arguments) {
    this.#args = args
  }

  async run(): Promise<boolean> {
    const watch = setInterval(() => this.#watch(), WATCH_MS)
    await Promise.all(this.#orders().map((order) => this.#start(order)))
    clearInterval(watch)
    const seconds = (performance.now() - this.#startedAtMs) / 1_000
    const speed = Math.round(this.#steps / seconds)
    const verdict = this.#hasFailed ? 'a program has failed' : 'nothing was violated'
    console.log(
      `${this.#steps} steps of ${this.#programs} programs in ${seconds.toFixed(1)} s (${speed} a second): ${verdict}`,
    )
    return !this.#hasFailed
  }

  #orders(): Order[] {
    const { seed, steps, path, program, workers, whole } = this.#args
    if (program !== undefined) return [{ kind: 'program', program }]
    if (path !== undefined) return [{ kind: 'path', seed, path }]
    console.log(`seed ${seed}`)
    const share = Math.ceil(steps / workers)
    return Array.from({ length: workers }, (_, first) => ({
      kind: 'search',
      seed,
      first,
      every: workers,
      steps: share,
      shrinks: !whole,
    }))
  }

  #start(order: Order): Promise<void> {
    const child = fork(WORKER)
    const worker: Worker = {
      child,
      seed: this.#args.program?.seed ?? this.#args.seed,
      heardAtMs: performance.now(),
    }
    this.#workers.add(worker)
    child.on('message', (report: Report) => this.#read(worker, report))
    child.send(order)
    return new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#workers.delete(worker)
        if (code !== 0 && !this.#hasFailed)
          this.#fail(`the process that ran it ended with ${code ?? signal}`, worker.seed)
        resolve()
      })
    })
  }

  #read(worker: Worker, report: Report): void {
    worker.heardAtMs = performance.now()
    if (report.kind === 'begins') {
      worker.seed = report.seed
    } else if (report.kind === 'ran') {
      this.#programs += 1
      this.#steps += report.steps
    } else if (report.kind === 'traced') {
      if (this.#args.trace) console.log(report.lines.join('\n'))
      console.log(`trace ${report.hash}`)
    } else if (!this.#hasFailed) {
      const { seed, path, program, violations } = report.failure
      console.log(printProgram(program))
      this.#fail(violations.join('\n'), seed, path)
    }
  }

  #watch(): void {
    const nowMs = performance.now()
    for (const worker of this.#workers) {
      if (nowMs - worker.heardAtMs < HANG_MS) continue
      this.#fail(`it has not ended for ${HANG_MS / 1_000} s`, worker.seed)
    }
  }

  #fail(what: string, seed: number, path?: string): void {
    this.#hasFailed = true
    const { program } = this.#args
    const which = path === undefined ? '--steps 1 --workers 1' : `--path ${path}`
    console.log(`the program of seed ${seed} has failed:\n${what}`)
    if (program === undefined) console.log(`to run it again: npm run simulate -- --seed ${seed} ${which}`)
    for (const { child } of this.#workers) child.kill('SIGKILL')
  }
}

try {
  const simulation = new Simulation(parseArguments(process.argv.slice(2)))
  process.exitCode = (await simulation.run()) ? 0 : 1
} catch (error) {
  console.error(`${(error as Error).message}\n${USAGE}`)
  process.exitCode = 1
}
