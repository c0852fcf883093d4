import { mkdir, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

const OTHERS_WRITE = 0o022

/** Makes a folder, and the missing ones above it, writable by this user only. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    const { code, path: unmade } = error as NodeJS.ErrnoException
    // On a read-only disk Node only reports a missing folder; making that folder gives the real error.
    if (code === 'ENOENT' && unmade !== undefined) await mkdir(unmade)
    throw error
  }
}

/**
 * Checks that no other user could change a cache. The folders are compared with a new one, since some file
 * systems have no owners or modes.
 * @throws Error if a folder belongs to another user, or may be written by others.
 */
export async function assertOwn(root: string, names: readonly string[], sample: string): Promise<void> {
  try {
    await mkdir(sample, { mode: 0o700 })
  } catch {
    // A read-only cache is used as far as it is filled.
    return
  }
  const sampleStats = await stat(sample)
  await rmdir(sample)
  for (const folder of [root, ...names.map((name) => join(root, name))]) {
    const { uid, mode } = await stat(folder)
    if (uid !== sampleStats.uid)
      throw new Error(`${folder} belongs to another user (${uid}, not ${sampleStats.uid})`)
    if ((mode & OTHERS_WRITE & ~sampleStats.mode) !== 0)
      throw new Error(`${folder} is writable by other users`)
  }
}
