import { errors } from '../errors/errors.js'

/** The properties of a startup handler that determine its position. */
export interface Step {
  readonly name: string
  readonly dependsOn: readonly string[]
}

/**
 * Returns the steps in the order in which they run: in order of registration, but each after its dependencies.
 * @throws ERR_INVALID_OPTIONS for a dependency that is not registered or that is circular
 */
export function orderSteps<T extends Step>(steps: readonly T[]): T[] {
  const byName = new Map(steps.map((step) => [step.name, step]))
  const ordered = new Set<T>()
  const visit = (step: T, path: readonly string[]): void => {
    if (ordered.has(step)) return
    if (path.includes(step.name)) {
      const circle = [...path.slice(path.indexOf(step.name)), step.name].join(' -> ')
      throw new errors.ERR_INVALID_OPTIONS(`startup handlers depend on each other: ${circle}`)
    }
    for (const name of step.dependsOn) {
      const needed = byName.get(name)
      if (needed === undefined) {
        throw new errors.ERR_INVALID_OPTIONS(
          `startup handler "${step.name}" depends on "${name}", which is not registered; known: ${[...byName.keys()].join(', ')}`,
        )
      }
      visit(needed, [...path, step.name])
    }
    ordered.add(step)
  }
  for (const step of steps) visit(step, [])
  return [...ordered]
}
