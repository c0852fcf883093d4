import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { tempFolder } from '../../models/synthetic/temp-folder.js'

const run = promisify(execFile)

/** A packed tarball of this library, installed into a folder of its own that is deleted with it. */
export interface InstalledPackage extends Disposable {
  /** File URL of a module that exports what the package exports. */
  readonly library: string
}

/** Installs a tarball as users do, with the onnxruntime-node that this checkout has. */
export async function installPackage(tarball: string): Promise<InstalledPackage> {
  const folder = tempFolder()
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }
  writeFileSync(join(folder.path, 'package.json'), '{ "private": true, "type": "module" }\n')
  const packages = [resolve(tarball), `onnxruntime-node@${version}`]
  await run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--silent', ...packages], {
    cwd: folder.path,
    shell: process.platform === 'win32',
  })
  const entry = join(folder.path, 'entry.js')
  writeFileSync(entry, "export * from 'tbcoin-engine'\n")
  return { library: pathToFileURL(entry).href, [Symbol.dispose]: () => folder[Symbol.dispose]() }
}
