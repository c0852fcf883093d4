/** The provider that runs all nodes of a graph that no other provider runs. */
const CPU = 'cpu'

/**
 * Execution providers that crash the process if two of their sessions are created, run or released at the same time.
 */
const ONE_AT_A_TIME: ReadonlySet<string> = new Set(['webgpu'])

/** An execution provider as session options list it: a name, or an object with a name and options. */
export type ProviderEntry = string | { readonly name?: unknown }

/** Returns the execution providers that session options list; undefined if they list none. */
export function providerEntries({
  executionProviders,
}: Readonly<Record<string, unknown>>): readonly ProviderEntry[] | undefined {
  return Array.isArray(executionProviders) && executionProviders.length > 0 ? executionProviders : undefined
}

export function providerName(entry: ProviderEntry): string {
  return typeof entry === 'string' ? entry : String(entry?.name)
}

/** Returns the names of the execution providers that session options list; the CPU provider if they list none. */
export function providersIn(sessionOptions: Readonly<Record<string, unknown>>): readonly string[] {
  return providerEntries(sessionOptions)?.map(providerName) ?? [CPU]
}

/**
 * Returns the provider that runs the model. The CPU provider only runs the nodes that the others leave, wherever it
 * is listed.
 */
export function servingProvider(providers: readonly string[]): string {
  return providers.find((name) => name !== CPU) ?? CPU
}

export function isOnCpu(providers: readonly string[]): boolean {
  return servingProvider(providers) === CPU
}

/** Returns whether threads have to take turns with these providers. */
export function takesTurns(providers: readonly string[]): boolean {
  return providers.some((name) => ONE_AT_A_TIME.has(name))
}
