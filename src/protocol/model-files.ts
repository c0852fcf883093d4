import type { BigIntStats } from 'node:fs'
import { errors } from '../errors/errors.js'

/** Time until a stamp is settled: with a file system whose clock counts in seconds, and with a finer one. */
const COARSE_MS = 2_000
const FINE_MS = 50

/** One of the files that hold the content of a version, as it was when the version was first loaded. */
export interface ModelFile {
  /** Path relative to the model's folder, as the model names it; empty for the model's own file. */
  readonly name: string
  /** The stamp of the file, see `stampFrom`; empty if the file could change without changing its stamp. */
  readonly stamp: string
  /** Hash of the content in hexadecimal; undefined if the content was not read. */
  readonly sha256: string | undefined
}

/** The names of a model and of its version. */
export interface FileOwner {
  readonly model: string
  readonly version: string
}

/** Returns a text that changes when a file is written or replaced. */
export function stampFrom({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

/**
 * Returns whether any change after `nowMs` is certain to change the stamp, because the last change is long enough
 * ago. `nowMs` must not be later than the moment at which the stamp was read.
 */
export function isSettled(stamp: string, nowMs: number): boolean {
  const ctimeNs = BigInt(stamp.slice(stamp.lastIndexOf(':') + 1))
  const isCoarse = ctimeNs % 1_000_000_000n === 0n
  return nowMs - Number(ctimeNs / 1_000_000n) > (isCoarse ? COARSE_MS : FINE_MS)
}

/** Returns the error of a file whose content differs from the one with which its version was first read. */
export function changedFile(path: string, owner: FileOwner, why = 'has changed', cause?: unknown): Error {
  const { model, version } = owner
  return new errors.ERR_MODEL_LOAD(
    `${path} ${why} since ${model}@${version} was first read; restore the file, load the new one under a new version label, or unload ${model}@${version} first`,
    { model, version, cause },
  )
}
