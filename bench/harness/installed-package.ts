import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { tempFolder } from '../../models/synthetic/temp-folder.js'

const run = promisify(execFile)

/** Packed tarball of this library, installed into a temporary folder that is deleted on disposal. */
export interface InstalledPackage extends Disposable {
  /** URL of a module that has the exports of the package. */
  readonly library: string
}

/** Installs a tarball as users do, with the onnxruntime-node version of this checkout. */
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
