/** Returns a random number from 0 up to 1, 1 excluded. No other module draws random numbers for its decisions. */
export type Random = () => number

/** The random numbers of this process. */
export const systemRandom: Random = () => Math.random()
