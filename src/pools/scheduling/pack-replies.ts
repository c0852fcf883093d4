import type { RunResult } from '../../protocol/replica/replica-replies.js'
import type { Batching } from '../batching/batching.js'
import { deliverResults } from '../packs/deliver-results.js'
import type { PackReply } from '../packs/read-reply.js'
import type { CostModel } from '../queue/cost-model.js'
import type { PlannedRun } from '../queue/planned-run.js'
import type { Replica } from '../replicas/replica.js'
import type { BackgroundProof } from './background-proof.js'
import type { Pack, PackAssembler } from './pack-assembler.js'

/** Handles the replies to packs: first what they show about the next packs, then the outputs. */
export class PackReplies {
  readonly #batching: Batching
  readonly #backgroundProof: BackgroundProof
  readonly #packs: PackAssembler
  readonly #costs: CostModel

  constructor(batching: Batching, backgroundProof: BackgroundProof, packs: PackAssembler, costs: CostModel) {
    this.#batching = batching
    this.#backgroundProof = backgroundProof
    this.#packs = packs
    this.#costs = costs
  }

  /** Learns from a reply the duration of runs, the size of outputs, and whether batching may go on. */
  learn(
    replica: Replica,
    { runs, sendsPlan }: Pack,
    { results, hasBackgroundWork, isRead }: PackReply,
  ): void {
    replica.noteBackgroundWork(hasBackgroundWork)
    if (sendsPlan && isRead) replica.notePlan()
    for (let index = 0; index < runs.length; index += 1) {
      this.#observe(runs[index] as PlannedRun, results[index])
    }
  }

  /** Settles every request of the pack and takes back its buffer. Never throws. */
  settle({ runs, plan }: Pack, { results, buffer }: PackReply, nowMs: number): void {
    const context = { decoder: this.#packs.decoder, plan, buffer, nowMs }
    for (let index = 0; index < runs.length; index += 1) {
      deliverResults(context, (runs[index] as PlannedRun).requests, results[index])
    }
    if (buffer !== undefined) this.#packs.takeBack(buffer)
  }

  #observe({ requests, rows }: PlannedRun, result: RunResult | undefined): void {
    if (typeof result !== 'object' || result === null) return
    if ('fault' in result && result.fault !== undefined) this.#backgroundProof.disableBatching(result.fault)
    const [first] = requests
    if ('trial' in result) this.#batching.learnShape(first.bucket, rows, result.trial)
    if (!('ms' in result) || result.ms === undefined) return
    first.bucket?.costs.observe(rows, result.ms)
    if (requests.length === 1) this.#costs.observe(rows, result.ms)
    if ('answer' in result) this.#packs.learn(result.answer, first.outputs, rows)
  }
}
