import { join } from 'node:path'

const FLAGS = { worker: '--allow-worker', child: '--allow-child-process' } as const

/**
 * What to do where Node's permission model lets this process not start threads or other processes; undefined
 * where it does. The errors of Node 20 do not say it.
 */
export function missingGrant(scope: keyof typeof FLAGS): string | undefined {
  return process.permission?.has(scope) === false ? `start Node with ${FLAGS[scope]} too` : undefined
}

/** The same for use of all that is in a folder, or will be once it is made, for which a grant has to end in a star. */
export function missingFolderGrant(folder: string): string | undefined {
  const flags = (['read', 'write'] as const)
    .filter((way) => process.permission?.has(`fs.${way}`, join(folder, 'inside')) === false)
    .map((way) => `--allow-fs-${way}=${join(folder, '*')}`)
  return flags.length === 0 ? undefined : `start Node with ${flags.join(' ')} too`
}
