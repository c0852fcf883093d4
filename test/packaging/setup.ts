import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { packageRoot, userEnv } from './surroundings.js'

const run = promisify(execFile)

/** The tested major versions of Node. */
const MAJORS = [20, 24, 26]

declare module 'vitest' {
  export interface ProvidedContext {
    /** The package as it would be published from the current build. */
    tarball: string
    /** The folder of the `node` of each major version. */
    nodes: readonly { readonly major: number; readonly folder: string }[]
  }
}

/** Packs the package, and installs the other Node versions, once for all test files. */
export default async function setup({ provide }: TestProject): Promise<() => void> {
  const folder = tempFolder()
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder.path]
  const packed = await run('npm', pack, { cwd: packageRoot, env: userEnv() })
  provide('tarball', join(folder.path, (JSON.parse(packed.stdout) as [{ filename: string }])[0].filename))
  const nodes = MAJORS.map(async (major) => ({
    major,
    folder: await folderOf(major, join(folder.path, String(major))),
  }))
  provide('nodes', await Promise.all(nodes))
  return () => folder[Symbol.dispose]()
}

/** Returns the folder of a Node; the install script of the npm package `node` puts the binary in place. */
async function folderOf(major: number, prefix: string): Promise<string> {
  if (process.versions.node.startsWith(`${major}.`)) return dirname(process.execPath)
  const options = ['--ignore-scripts=false', '--no-audit', '--no-fund', '--no-update-notifier']
  await run('npm', ['install', `--prefix=${prefix}`, ...options, `node@${major}`], { env: userEnv() })
  return join(prefix, 'node_modules', 'node', 'bin')
}
