import type { Finding } from './scope.js'

/** Returns a finding whose target is a minimum. */
export function atLeast(name: string, value: number, min: number): Finding {
  return { name, value: value.toFixed(2), target: `>= ${min}`, isMet: value >= min }
}

/** Returns a finding whose target is a maximum. */
export function atMost(name: string, value: number, max: number): Finding {
  return { name, value: value.toFixed(2), target: `<= ${max}`, isMet: value <= max }
}

/** Returns a finding without a target. */
export function reported(name: string, value: number): Finding {
  return { name, value: value.toFixed(2) }
}
