import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs'

export interface RegularFile {
  readonly file: number
  readonly bytes: number
}

/**
 * Opens a file to read it.
 * @throws Error for anything but a regular file: the end of a pipe or of a device may never come.
 */
export function openRegular(path: string): RegularFile {
  // Before it is opened, which is an act of its own with some devices.
  assertRegular(path, statSync(path))
  // And without waiting for a writer, should a pipe have taken its place.
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const stats = fstatSync(file)
    assertRegular(path, stats)
    return { file, bytes: stats.size }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/** @throws Error if there is something else than a regular file at that path; nothing if there is nothing. */
export function refuseSpecialFile(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats !== undefined) assertRegular(path, stats)
}

function assertRegular(path: string, stats: Stats): void {
  if (stats.isFile()) return
  const isKnown: Record<string, boolean> = {
    'a folder': stats.isDirectory(),
    'a pipe': stats.isFIFO(),
    'a socket': stats.isSocket(),
    'a device': stats.isCharacterDevice() || stats.isBlockDevice(),
  }
  const kind = Object.keys(isKnown).find((name) => isKnown[name]) ?? 'of an unknown kind'
  throw new Error(`${path} is ${kind}, and only regular files are read`)
}
