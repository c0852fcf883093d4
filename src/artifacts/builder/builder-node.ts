import { basename } from 'node:path'
import type { BuilderEntry } from './child-processes.js'

/** Names of Node's own binaries: node, nodejs, node-22, node20.exe. */
const NODE_NAME = /^node(js)?([-_.]?v?\d+(\.\d+)*)?(\.exe)?$/i

/** The traits of a process that distinguish Node from an application with Node inside. */
export interface HostProcess {
  readonly execPath: string
  readonly versions: Readonly<Record<string, string | undefined>>
  readonly getBuiltinModule?: (id: string) => unknown
  /** Set by pkg, nexe and boxednode in the executables that they make. */
  readonly pkg?: unknown
  readonly __nexe?: unknown
  readonly boxednode?: unknown
}

/**
 * Returns the Node that runs the builder: `wanted`, or the executable of this process if that is Node. An
 * executable that holds an application would start the application again.
 */
export function builderNode(wanted: string | undefined, host: HostProcess = process): BuilderEntry['node'] {
  if (wanted !== undefined) return { path: wanted }
  if (isNode(host)) return { path: host.execPath }
  return {
    reason: `${host.execPath} is not known to be Node, and might start this application again; set \`builderExecPath\` to a Node executable`,
  }
}

/**
 * Returns the environment of a builder. Electron behaves as Node with one more variable, if its fuse for that
 * is on.
 */
export function builderEnvironment(
  env: BuilderEntry['env'],
  host: HostProcess = process,
): BuilderEntry['env'] {
  return host.versions.electron === undefined ? env : { ...env, ELECTRON_RUN_AS_NODE: '1' }
}

function isNode(host: HostProcess): boolean {
  const { electron, nw, bun, deno } = host.versions
  const others = [electron, nw, bun, deno, host.pkg, host.__nexe, host.boxednode]
  if (!NODE_NAME.test(basename(host.execPath)) || others.some((other) => other !== undefined)) return false
  const sea = host.getBuiltinModule?.('node:sea') as { isSea(): boolean } | undefined
  return sea?.isSea() !== true
}
