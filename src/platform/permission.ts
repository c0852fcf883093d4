import { join } from 'node:path'

const FLAGS = { worker: '--allow-worker', child: '--allow-child-process' } as const

/**
 * Returns what to do if Node's permission model forbids this process to start threads or other processes; undefined
 * if it allows them. The errors of Node 20 do not mention the flag.
 */
export function missingGrant(scope: keyof typeof FLAGS): string | undefined {
  return process.permission?.has(scope) === false ? `start Node with ${FLAGS[scope]} too` : undefined
}

/**
 * Returns what to do if Node's permission model forbids reading or writing in a folder, which need not exist yet;
 * undefined if it allows both. The grant for a folder has to end in a star.
 */
export function missingFolderGrant(folder: string): string | undefined {
  const flags = (['read', 'write'] as const)
    .filter((way) => process.permission?.has(`fs.${way}`, join(folder, 'inside')) === false)
    .map((way) => `--allow-fs-${way}=${join(folder, '*')}`)
  return flags.length === 0 ? undefined : `start Node with ${flags.join(' ')} too`
}
