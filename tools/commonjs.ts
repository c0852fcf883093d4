import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

// Makes the CommonJS half of the package out of the compiled ES modules: the library, its part for tests, and the entries of the
// replica threads and of the builder; and what bundles of other people need beside them.

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

const dist = new URL('../dist/', import.meta.url)
const path = (file: string): string => fileURLToPath(new URL(file, dist))
const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Manifest
/** Packages that are ES modules only: Jest, and tools like it, cannot `require()` them. */
const INLINED = ['p-queue']
const externals = [manifest.dependencies, manifest.optionalDependencies, manifest.peerDependencies]
  .flatMap(Object.keys)
  .filter((name) => !INLINED.includes(name))

async function bundle(entry: string, external: readonly string[]): Promise<void> {
  await build({
    entryPoints: [path(entry)],
    outfile: path(entry.replace(/\.js$/, '.cjs')),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    sourcemap: true,
    // Those of the ES modules have it; a stack trace needs names and lines only.
    sourcesContent: false,
    external: [...external],
    // Read in the ES module only.
    logOverride: { 'empty-import-meta': 'silent' },
    logLevel: 'warning',
  })
}

/**
 * Makes the file that Piscina starts its threads from, `worker.js` beside its own file, into one that stands alone, for
 * bundles with Piscina inside. Their folder decides whether it is CommonJS or an ES module, so it is both.
 */
async function bundleWorker(): Promise<void> {
  const piscina = dirname(createRequire(import.meta.url).resolve('piscina'))
  const { version } = JSON.parse(readFileSync(join(piscina, '../package.json'), 'utf8'))
  if (manifest.dependencies.piscina !== version)
    throw new Error(`worker.js fits Piscina ${version} only, which package.json has to ask for, exactly`)
  await build({
    entryPoints: [join(piscina, 'worker.js')],
    outfile: path('workers/worker.js'),
    bundle: true,
    platform: 'node',
    format: 'iife',
    target: 'node20',
    external: ['@napi-rs/nice'],
    banner: {
      js: "{ const require = process.getBuiltinModule('node:module').createRequire(process.argv[1])",
    },
    footer: { js: '}' },
    logLevel: 'warning',
  })
}

/**
 * Declares what `require` gives with the very types of what `import` gives, so that a program can use both. A value
 * hides the type of the same name that `export type *` brings, so classes are written out.
 */
async function declare(folder: string): Promise<void> {
  const library = (await import(path(`${folder}/index.js`))) as Readonly<Record<string, unknown>>
  const mode = "with { 'resolution-mode': 'import' }"
  const lines = [
    `import type * as esm from './index.js' ${mode}`,
    `export type * from './index.js' ${mode}`,
    ...Object.keys(library).map((name) => `export declare const ${name}: typeof esm.${name}`),
    ...typesNamed(Object.keys(library)).map((type) => `export type ${type} = esm.${type}`),
  ]
  writeFileSync(path(`${folder}/index.d.cts`), `${lines.join('\n')}\n`)
}

/** Declares the entries of threads and processes, which export nothing. */
function declareEntries(): void {
  for (const entry of ['replica', 'artifact-builder'])
    writeFileSync(path(`workers/${entry}.d.cts`), 'export {}\n')
}

/** Types of these names, with their parameters: `PooledResource<T>`. */
function typesNamed(names: readonly string[]): string[] {
  const declarations = readdirSync(path('src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.d.ts'))
    .map((file) => readFileSync(path(`src/${file}`), 'utf8'))
    .join('\n')
  const types = declarations.matchAll(/^export (?:declare class|interface|type) ((\w+)(?:<[\w, ]+>)?)/gm)
  return [...types].flatMap(([, type, name]) => (names.includes(name as string) ? [type as string] : []))
}

await Promise.all([
  bundle('src/index.js', externals),
  bundle('src/testing/index.js', externals),
  bundle('workers/replica.js', ['onnxruntime-node', 'koffi']),
  bundle('workers/artifact-builder.js', ['onnxruntime-node', 'koffi']),
  bundleWorker(),
  declare('src'),
  declare('src/testing'),
])
declareEntries()
