import { mkdir, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

const OTHERS_WRITE = 0o022

/** Makes a folder, and those above it that are not there. Nobody else may write into them. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    const { code, path: unmade } = error as NodeJS.ErrnoException
    // On a read-only disk Node only says that a folder is missing, which it could not make; this says why.
    if (code === 'ENOENT' && unmade !== undefined) await mkdir(unmade)
    throw error
  }
}

/**
 * Refuses a cache that other users could change. It is compared with a new folder, since some file
 * systems know no owners or modes.
 * @throws Error if a folder belongs to another user, or may be written by others.
 */
export async function assertOwn(root: string, names: readonly string[], sample: string): Promise<void> {
  try {
    await mkdir(sample, { mode: 0o700 })
  } catch {
    // It cannot be written, and so is used as far as it is filled.
    return
  }
  const sampleStats = await stat(sample)
  await rmdir(sample)
  for (const folder of [root, ...names.map((name) => join(root, name))]) {
    const { uid, mode } = await stat(folder)
    if (uid !== sampleStats.uid)
      throw new Error(`${folder} belongs to another user (${uid}, not ${sampleStats.uid})`)
    if ((mode & OTHERS_WRITE & ~sampleStats.mode) !== 0)
      throw new Error(`${folder} may be written by other users`)
  }
}
