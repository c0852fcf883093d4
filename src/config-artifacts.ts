import { homedir, userInfo } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { durationMs } from './config-numbers.js'

const bytes = z.number().int().min(0)

export const artifactOptionsSchema = z.strictObject({
  minBytes: bytes.default(2 ** 20).describe('models with fewer bytes than that are served as they are'),
  maxBytes: bytes
    .default(8 * 2 ** 30)
    .describe('size of the cache; what was not used for longest is removed, unless it is mapped'),
  timeoutMs: durationMs
    .default(300_000)
    .describe('how long building and proving one form may take; 0 is never'),
  maxBuilderBytes: bytes
    .min(2 ** 28)
    .optional()
    .meta({ type: 'bytes' })
    .describe(
      'memory that the process that builds may take; by default 1 GiB and six times the size of the model',
    ),
})

export const artifacts = z.union([z.enum(['auto', 'off']), artifactOptionsSchema])
export const probe = z.enum(['child', 'off'])

export type ArtifactOptions = z.output<typeof artifactOptionsSchema>

/**
 * Returns where a user's caches are kept; undefined if the user has no home folder. It is looked up in
 * `HOME`, then in the list of users, where containers often have no entry for the user they run as.
 */
export function userCacheDir(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const base = cachesOf(process.platform, env)
  return base === undefined ? undefined : join(base, 'tbcoin-engine')
}

function cachesOf(platform: NodeJS.Platform, env: NodeJS.ProcessEnv): string | undefined {
  // The XDG Base Directory Specification: a path that is not absolute is not valid.
  const variable = { win32: 'LOCALAPPDATA', darwin: '' }[platform as string] ?? 'XDG_CACHE_HOME'
  const folder = pathOrNone(() => env[variable])
  if (folder !== undefined) return folder
  const named = platform === 'win32' ? [] : [() => env.HOME]
  const home = [...named, homedir, () => userInfo().homedir]
    .map(pathOrNone)
    .find((path) => path !== undefined)
  if (home === undefined) return undefined
  if (platform === 'win32') return join(home, 'AppData', 'Local')
  return platform === 'darwin' ? join(home, 'Library', 'Caches') : join(home, '.cache')
}

function pathOrNone(find: () => string | undefined): string | undefined {
  try {
    const path = find()
    return path !== undefined && isAbsolute(path) ? path : undefined
  } catch {
    return undefined
  }
}
