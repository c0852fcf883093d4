import type { BigIntStats } from 'node:fs'
import { errors } from '../errors/errors.js'

/** Time until a stamp is settled, by clocks that count in seconds and by finer ones. */
const COARSE_MS = 2_000
const FINE_MS = 50

/** One of the files that hold the content of a version, as it was when the version was loaded first. */
export interface ModelFile {
  /** Path from the model's folder, as the model has it; empty for the model's own file. */
  readonly name: string
  /** See `stampFrom`; empty if the file could change and keep its stamp. */
  readonly stamp: string
  /** Undefined if the content was not read. */
  readonly sha256: string | undefined
}

/** The name of a model and of its version. */
export interface FileOwner {
  readonly model: string
  readonly version: string
}

/** The text that changes when a file is written or replaced. */
export function stampFrom({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

/**
 * Returns whether a change after `nowMs`, a time no later than that of the stamp's reading, is sure to change the stamp:
 * the last change is long enough ago.
 */
export function isSettled(stamp: string, nowMs: number): boolean {
  const ctimeNs = BigInt(stamp.slice(stamp.lastIndexOf(':') + 1))
  const isCoarse = ctimeNs % 1_000_000_000n === 0n
  return nowMs - Number(ctimeNs / 1_000_000n) > (isCoarse ? COARSE_MS : FINE_MS)
}

/** Returns the error of a file that does not hold any more what it held when its version was read first. */
export function changedFile(path: string, owner: FileOwner, why = 'has changed', cause?: unknown): Error {
  const { model, version } = owner
  return new errors.ERR_MODEL_LOAD(
    `${path} ${why} since ${model}@${version} was first read, and a version answers from one content only: put that file back, load the new one under a new version label, or unload ${model}@${version} first`,
    { model, version, cause },
  )
}
