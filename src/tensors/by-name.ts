/** Returns an object with each of `values` under its name; a name may be `__proto__`. */
export function byName<T>(names: readonly string[], values: readonly T[]): Record<string, T> {
  const named: Record<string, T> = {}
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] as string
    const value = values[index] as T
    // An assignment would set a property of Object.prototype of that name, or fail if that is frozen.
    if (name in Object.prototype) {
      Object.defineProperty(named, name, { value, enumerable: true, configurable: true, writable: true })
    } else {
      named[name] = value
    }
  }
  return named
}
