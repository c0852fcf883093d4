/**
 * State that belongs to the process, not to a copy of this package: a program may have several, as an ES module and
 * as CommonJS, or in several versions. `name` gets another number when the shape of the state changes.
 */
export function processState<T>(name: string, create: () => T): T {
  const key = Symbol.for(`tbcoin-engine.${name}`)
  const holder = globalThis as { [key: symbol]: T | undefined }
  holder[key] ??= create()
  return holder[key]
}
