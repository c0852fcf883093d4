import { z } from 'zod'

/** The longest delay of a Node timer, in milliseconds; a longer one fires at once. */
export const MAX_TIMER_MS = 2_147_483_647
export const durationMs = z.number().min(0).max(MAX_TIMER_MS)
export const count = z.number().int().min(1)
export const countOrAuto = z.union([count.max(1024), z.literal('auto')])
