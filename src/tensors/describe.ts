import type { TensorSpec } from './tensor.js'
import { typedArrayName } from './typed-arrays.js'

const LISTED_NAMES = 20
const QUOTED_CHARACTERS = 40

/** Returns a text like `[batch, 576]`; a free dim without a name is `?`. */
export function formatDims(dims: readonly unknown[]): string {
  return `[${dims.map((dim) => (dim === '' ? '?' : String(dim))).join(', ')}]`
}

/** Returns a text like `float32[batch, 576]` or `int64 scalar`. */
export function formatSpec(spec: Pick<TensorSpec, 'type' | 'dims'>): string {
  return spec.dims.length === 0 ? `${spec.type} scalar` : spec.type + formatDims(spec.dims)
}

/** Returns a text like `"input" float32[?, ?], "sr" int64 scalar`, of at most LISTED_NAMES specs. */
export function formatSpecs(specs: readonly TensorSpec[]): string {
  if (specs.length === 0) return 'no inputs'
  const listed = specs.slice(0, LISTED_NAMES).map((spec) => `${quote(spec.name)} ${formatSpec(spec)}`)
  const left = specs.length - listed.length
  return listed.join(', ') + (left > 0 ? ` and ${left} more` : '')
}

export function formatNames(names: readonly string[]): string {
  const left = names.length - LISTED_NAMES
  return names.slice(0, LISTED_NAMES).map(quote).join(', ') + (left > 0 ? ` and ${left} more` : '')
}

/** Returns a string for a message: quoted, with control characters escaped, and cut if it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > QUOTED_CHARACTERS ? `${text.slice(0, QUOTED_CHARACTERS)}…` : text)
}

/** Describes a caller's value in a few words, never with its whole content. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `string ${quote(value)}`
    case 'bigint':
      return `bigint ${value}n`
    case 'number':
    case 'boolean':
      return `${typeof value} ${Object.is(value, -0) ? '-0' : value}`
    case 'symbol':
    case 'function':
      return `a ${typeof value}`
    case 'undefined':
      return 'undefined'
    default:
      return value === null ? 'null' : describeObject(value as object)
  }
}

function describeObject(value: object): string {
  const name = typedArrayName(value)
  if (name !== undefined) return `${name}(${(value as ArrayLike<unknown>).length})`
  if (Array.isArray(value)) return `array of ${value.length}`
  const { type, dims } = value as { type?: unknown; dims?: unknown }
  if (typeof type === 'string' && Array.isArray(dims)) {
    return `tensor ${type.slice(0, QUOTED_CHARACTERS)}${describeDims(dims)}`
  }
  const className = typeof value.constructor === 'function' ? value.constructor.name : 'Object'
  if (className === 'Promise') return 'Promise (is an await missing?)'
  if (className !== 'Object' && className !== '') return className
  const keys = Object.keys(value)
  return keys.length === 0 ? 'object without keys' : `object with keys ${formatNames(keys)}`
}

/** Describes a caller's dims, whose elements can have any type. */
export function describeDims(dims: readonly unknown[]): string {
  const shown = dims
    .slice(0, LISTED_NAMES)
    .map((dim) => (typeof dim === 'number' ? String(dim) : describeValue(dim)))
  return `[${shown.join(', ')}${dims.length > LISTED_NAMES ? ', …' : ''}]`
}
