import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errors } from '../../../../src/errors/errors.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { Replica } from '../../../../src/pools/replicas/replica.js'
import { REPLICA_TRANSITIONS, type ReplicaState } from '../../../../src/pools/replicas/replica-transitions.js'
import { FakeHost, fakeSignature } from '../../../support/fake-host.js'
import { packOf } from '../../../support/packs.js'
import { source, turn } from '../../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Subject {
  readonly replica: Replica
  readonly host: FakeHost
}

const STATES = Object.keys(REPLICA_TRANSITIONS) as ReplicaState[]

function run({ replica }: Subject): void {
  const x = { type: 'float32', dims: [1], data: Float32Array.of(1) } as const
  replica.run(0, packOf(fakeSignature, [[x]])).catch(() => undefined)
}

/** Moves a new replica into each state, as a pool would. */
const WAYS: { readonly [S in ReplicaState]: (subject: Subject) => Promise<void> } = {
  starting: async ({ replica }) => {
    replica.load(source.task, 0).catch(() => undefined)
    await turn()
  },
  idle: async (subject) => {
    await WAYS.starting(subject)
    subject.host.finishLoad()
    await turn()
    subject.replica.markIdle()
  },
  busy: async (subject) => {
    await WAYS.idle(subject)
    subject.replica.markBusy()
    run(subject)
    await turn()
  },
  leaving: async (subject) => {
    await WAYS.busy(subject)
    subject.replica.retire()
  },
  ending: async (subject) => {
    await WAYS.idle(subject)
    // The release does not complete at once.
    subject.host.onTask = () => undefined
    void subject.replica.end(1_000)
    await turn()
  },
  quarantined: async (subject) => {
    await WAYS.busy(subject)
    subject.replica.quarantine()
  },
  gone: async (subject) => {
    await WAYS.idle(subject)
    await subject.replica.end(1_000)
  },
}

async function at(state: ReplicaState): Promise<Subject> {
  const host = new FakeHost()
  const subject = { host, replica: new Replica(systemClock, host, 'fake', '1') }
  host.onExit = () => subject.replica.exited()
  await WAYS[state](subject)
  expect(subject.replica.state).toBe(state)
  return subject
}

/** The operations that change the state of a replica at once, with their target states. */
const OPERATIONS: readonly [ReplicaState, (replica: Replica) => void][] = [
  ['idle', (replica) => replica.markIdle()],
  ['busy', (replica) => replica.markBusy()],
  ['leaving', (replica) => replica.retire()],
  ['busy', (replica) => replica.keep()],
  ['quarantined', (replica) => replica.quarantine()],
]

describe('a replica', () => {
  it('changes its state only as the transition table allows', async () => {
    for (const from of STATES) {
      for (const [to, operate] of OPERATIONS) {
        const { replica } = await at(from)
        if (REPLICA_TRANSITIONS[from].includes(to)) {
          operate(replica)
          expect(replica.state).toBe(to)
        } else {
          expect(() => operate(replica)).toThrow(errors.ERR_ILLEGAL_TRANSITION)
          expect(replica.state).toBe(from)
        }
      }
    }
  })

  it('names itself and the legal transitions when it refuses one', async () => {
    const { replica } = await at('idle')
    expect(() => replica.retire()).toThrow(
      'a replica of fake@1 cannot go from idle to leaving; from idle it can go to busy, ending, gone',
    )
  })

  it.each(STATES)(
    'is gone when its thread dies while it is %s, however often the exit is reported',
    async (state) => {
      const { replica, host } = await at(state)
      if (!host.isGone) host.exit()
      await turn()
      replica.exited()
      replica.exited()
      expect(replica.state).toBe('gone')
    },
  )

  it.each([
    ['starting', ['starting', 'ending', 'gone']],
    ['idle', ['ending', 'gone']],
    ['busy', ['leaving', 'ending', 'gone']],
    ['leaving', ['leaving', 'ending', 'gone']],
  ] as const)('that is ended while it is %s releases its session after its task', async (state, way) => {
    const { replica, host } = await at(state)
    // Tasks are answered manually, so that each state can be observed.
    const { task } = host
    host.onTask = () => undefined
    const seen: ReplicaState[] = []
    const look = async (): Promise<void> => {
      await turn()
      if (seen.at(-1) !== replica.state) seen.push(replica.state)
    }
    const ending = replica.end(1_000)
    await look()
    if (task !== undefined) {
      expect(host.tasks.map(({ kind }) => kind)).not.toContain('release')
      if (state === 'starting') host.finishLoad()
      else host.answer()
      await look()
    }
    host.task?.reply({ ok: true })
    await look()
    expect(seen).toEqual(way)
    expect(await ending).toBe('ended')
  })

  it.each(['starting', 'leaving', 'ending'] as const)(
    'that does not end in time while it is %s is quarantined, and gone when its thread returns',
    async (state) => {
      const { replica, host } = await at(state)
      const ending = replica.end(50)
      await vi.advanceTimersByTimeAsync(6_000)
      expect(await ending).toBe('stuck')
      expect(replica.state).toBe('quarantined')
      expect(host).toMatchObject({ isDetached: true, isTerminated: true, isGone: false })
      if (state === 'starting') host.finishLoad()
      else if (state === 'leaving') host.answer()
      else host.task?.reply({ ok: true })
      await turn()
      expect(replica.state).toBe('gone')
    },
  )

  it('that is kept goes on as before', async () => {
    const subject = await at('leaving')
    subject.replica.keep()
    subject.host.answer()
    await turn()
    subject.replica.markIdle()
    expect(subject.replica.isServing).toBe(true)
  })
})
