import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs'

export interface RegularFile {
  readonly file: number
  readonly bytes: number
}

/**
 * Opens a file for reading.
 * @throws Error if it is not a regular file, since the end of a pipe or a device may never come.
 */
export function openRegular(path: string): RegularFile {
  // Checked before it is opened, since opening has side effects on some devices.
  assertRegular(path, statSync(path))
  // Opened without waiting for a writer, in case a pipe has taken its place.
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

/** Throws an Error if the path exists and is not a regular file. */
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
