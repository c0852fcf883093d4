import type { Logger } from './logger.js'

/**
 * Handles the failure of `work` that no caller awaits: it is logged in one line, with `what` as the name of the work,
 * instead of ending the process as an unhandled rejection.
 */
export function inBackground(
  { logger }: { readonly logger: Logger },
  work: Promise<unknown>,
  what: string,
): void {
  work.catch((err: unknown) => logger.error({ err }, `${what} failed`))
}
