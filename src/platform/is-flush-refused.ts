/** Codes by which a system says that it does not flush files to the disk, or does not allow it. */
const REFUSALS = ['ERR_ACCESS_DENIED', 'EPERM', 'EACCES', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']

/**
 * Whether a flush failed because it is not to be had here, as under Node's permission model, on some file systems
 * and with Yarn's Plug'n'Play, whose error has no code; what was written is there all the same, unless the machine
 * loses its power.
 */
export function isFlushRefused(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === undefined || REFUSALS.includes(code)
}
