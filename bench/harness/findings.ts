import type { Finding } from './scope.js'

export function atLeast(name: string, value: number, min: number): Finding {
  return { name, value: value.toFixed(2), target: `>= ${min}`, isMet: value >= min }
}

export function atMost(name: string, value: number, max: number): Finding {
  return { name, value: value.toFixed(2), target: `<= ${max}`, isMet: value <= max }
}

/** One that has no target. */
export function told(name: string, value: number): Finding {
  return { name, value: value.toFixed(2) }
}
