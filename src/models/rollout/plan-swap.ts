import type { LifecycleState } from '../../lifecycle/state-machine.js'

/**
 * The steps of a swap. `vacate` routes the requests to the new version at once and drains the old one before the new
 * one is loaded; `flip` promotes the new version.
 */
export type SwapStep = 'find' | 'vacate' | 'load' | 'verify' | 'await replicas' | 'flip'

/** A swap between two of its steps. */
export interface SwapSnapshot {
  readonly isClosing: boolean
  /** True if a newer swap of the model was requested. */
  readonly isSuperseded: boolean
  readonly newVersion: string
  /** The version that must be active until the requests move; undefined allows any. */
  readonly expected: string | undefined
  readonly active: string | undefined
  /** True if the active version had failed and is replaced by itself, loaded again. */
  readonly isReload: boolean
  /** State of the new version; undefined before the step `find`. */
  readonly next: LifecycleState | undefined
  readonly strategy: 'parallel' | 'resource-preserving'
  /** The steps that were begun. All of them have ended, since the snapshot is taken between two steps. */
  readonly begun: ReadonlySet<SwapStep>
}

export type SwapRefusal =
  | 'superseded'
  | 'closing'
  | 'already active'
  | 'version conflict'
  | 'stopped meanwhile'

export type SwapAction = { readonly step: SwapStep } | { readonly refusal: SwapRefusal }

/** Decides the next step of a swap. Call it after every await, since a swap can be refused until the flip. */
export function planSwap(swap: SwapSnapshot): SwapAction {
  const refusal = refusalOf(swap)
  if (refusal !== undefined) return { refusal }
  const { begun } = swap
  if (!begun.has('find')) return { step: 'find' }
  if (isDrainedFirst(swap)) return { step: 'vacate' }
  const wasReady = begun.has('load') || begun.has('verify')
  if (swap.next !== 'ready') return wasReady ? { refusal: 'stopped meanwhile' } : { step: 'load' }
  if (!begun.has('verify')) return { step: 'verify' }
  if (!begun.has('vacate') && !begun.has('await replicas')) return { step: 'await replicas' }
  return { step: 'flip' }
}

/** Returns the reason to refuse the swap. After `vacate` it can no longer be superseded: the old version is gone. */
function refusalOf(swap: SwapSnapshot): SwapRefusal | undefined {
  const isVacated = swap.begun.has('vacate')
  if (swap.isSuperseded && !isVacated) return 'superseded'
  if (swap.isClosing) return 'closing'
  if (isVacated) return undefined
  if (swap.active === swap.newVersion && !swap.isReload) return 'already active'
  if (swap.expected !== undefined && swap.expected !== swap.active) return 'version conflict'
  return undefined
}

/**
 * Returns true if the old version must be drained first, so that memory never holds two versions. A new version that
 * is ready is in memory already.
 */
function isDrainedFirst({ begun, strategy, active, newVersion, next }: SwapSnapshot): boolean {
  if (strategy !== 'resource-preserving' || begun.has('vacate')) return false
  return active !== undefined && active !== newVersion && next !== 'ready'
}

/** The steps that undo a failed swap. */
export type SwapUndo = 'reroute' | 'retire' | 'reload'

/** A failed swap between two of the steps that undo it. */
export interface FailedSwap {
  readonly isClosing: boolean
  readonly next: LifecycleState | undefined
  readonly old: LifecycleState | undefined
  readonly begun: ReadonlySet<SwapStep>
  readonly undone: ReadonlySet<SwapUndo>
}

/**
 * Decides the next step that undoes a failed swap; undefined if everything is as before. A version that was ready
 * before the swap stays ready.
 */
export function planSwapUndo({ isClosing, next, old, begun, undone }: FailedSwap): SwapUndo | undefined {
  const isVacated = begun.has('vacate')
  if (isVacated && !undone.has('reroute')) return 'reroute'
  if (begun.has('load') && next === 'ready' && !undone.has('retire')) return 'retire'
  const isOldCold = old === 'uninitialized' || old === 'stopped'
  if (isVacated && isOldCold && !isClosing && !undone.has('reload')) return 'reload'
  return undefined
}
