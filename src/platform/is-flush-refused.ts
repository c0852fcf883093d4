/** Error codes of a system that does not support, or does not allow, flushing files to the disk. */
const REFUSALS = ['ERR_ACCESS_DENIED', 'EPERM', 'EACCES', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']

/**
 * Returns whether a flush failed because it is not available: under Node's permission model, on some file systems,
 * and with Yarn's Plug'n'Play, whose error has no code. The written data is there all the same, unless the machine
 * loses power.
 */
export function isFlushRefused(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === undefined || REFUSALS.includes(code)
}
