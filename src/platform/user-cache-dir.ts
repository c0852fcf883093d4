import { homedir, userInfo } from 'node:os'
import { isAbsolute, join } from 'node:path'

/**
 * Returns the folder of this library in the user's cache folder; undefined if the user has no home folder. The home
 * folder is looked up in `HOME`, then in the list of users, where containers often have no entry for the user they
 * run as.
 */
export function userCacheDir(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const base = cachesOf(process.platform, env)
  return base === undefined ? undefined : join(base, 'tbcoin-engine')
}

function cachesOf(platform: NodeJS.Platform, env: NodeJS.ProcessEnv): string | undefined {
  // The XDG Base Directory Specification declares paths that are not absolute invalid.
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
