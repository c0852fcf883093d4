import type { Logger } from './logger.js'

/**
 * Lets `work` go on without a caller that awaits it. A failure becomes one line that names `what` failed,
 * not an unhandled rejection.
 */
export function inBackground(
  { logger }: { readonly logger: Logger },
  work: Promise<unknown>,
  what: string,
): void {
  work.catch((err: unknown) => logger.error({ err }, `${what} failed`))
}
