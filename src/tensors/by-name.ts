/** An object of the values under their names, of which one may be called `__proto__`. */
export function byName<T>(names: readonly string[], values: readonly T[]): Record<string, T> {
  const named: Record<string, T> = {}
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] as string
    const value = values[index] as T
    // An assignment would hit what Object.prototype has under that name, or fail where that is frozen.
    if (name in Object.prototype) {
      Object.defineProperty(named, name, { value, enumerable: true, configurable: true, writable: true })
    } else {
      named[name] = value
    }
  }
  return named
}
