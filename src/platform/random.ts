/** Draws a number from 0 up to 1, 1 excluded: no other module draws one for what it decides. */
export type Random = () => number

/** The source of this process. */
export const systemRandom: Random = () => Math.random()
