import { cpSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { codeBlocks, filesIn, sectionOf } from '../support/markdown.js'
import { Project, type Ran } from '../support/packaging-harness.js'
import { packageRoot } from './surroundings.js'

const page = readFileSync(join(packageRoot, 'docs/bundling.md'), 'utf8')
const bundlers = ['esbuild', 'rollup', 'webpack'] as const
const answer = '3 probabilities\n'

const copy = codeBlocks(page, 'sh')[0] as string

/** A bundle of the builder as an ES module, whose `require` resolves only the modules of Node. */
const builderWithoutRequire =
  'npx esbuild tbcoin-engine/artifact-builder --bundle --platform=node --format=esm --external:onnxruntime-node --external:koffi --outfile=dist/artifact-builder.mjs "--banner:js=const require = (id) => { const inside = process.getBuiltinModule(id); if (inside) return inside; throw new Error(id + \' is not inside\') }, __filename = import.meta.filename"'

describe('the bundles that docs/bundling.md describes', () => {
  const outputs = tempFolder()
  let beside: Project
  let native: Project
  beforeAll(async () => {
    using project = await Project.install([
      'esbuild@0.28.2',
      'rollup@4',
      '@rollup/plugin-commonjs',
      '@rollup/plugin-json',
      '@rollup/plugin-node-resolve',
      'webpack@5',
      'webpack-cli@6',
    ])
    project.write(filesIn(page, 'js'))
    const bundle = async (name: string, lines: string): Promise<void> => {
      await project.shell(`set -e\n${lines}`)
      renameSync(join(project.path, 'dist'), join(outputs.path, name))
    }
    for (const bundler of bundlers) {
      const [external, inlined] = codeBlocks(sectionOf(page, bundler), 'sh')
      await bundle(`${bundler} external`, external as string)
      await bundle(`${bundler} inlined`, `${inlined}\n${copy}`)
    }
    await bundle('a builder without require', builderWithoutRequire)
    beside = await Project.install([])
    native = await Project.bare(['onnxruntime-node@1.30.0', 'koffi@3'])
  }, 600_000)
  afterAll(() => {
    for (const each of [outputs, beside, native]) each?.[Symbol.dispose]()
  })

  // The place where the bundles were built no longer exists.
  const move = (project: Project, name: string): string => {
    for (const folder of ['dist', 'cache'])
      rmSync(join(project.path, folder), { recursive: true, force: true })
    cpSync(join(outputs.path, name), join(project.path, 'dist'), { recursive: true })
    return join(project.path, 'dist')
  }
  const serve = (project: Project, file: string, env: Record<string, string> = {}): Promise<Ran> =>
    project.onEveryNode(`node dist/${file}`, env)
  const serveInlined = (): Promise<Ran> => native.shell('node dist/service.mjs', { IS_INLINED: '1' })

  describe.each(bundlers)('%s', (bundler) => {
    it.each(['service.mjs', 'service.cjs'])('include a %s that serves beside the package', async (file) => {
      move(beside, `${bundler} external`)
      expect(await serve(beside, file)).toEqual({ stdout: answer, stderr: '' })
    })

    it.each([
      ['service.mjs', 'commonjs'],
      ['service.mjs', 'module'],
      ['service.cjs', 'commonjs'],
      ['service.cjs', 'module'],
    ])(
      'include a %s that serves beside native packages only, in a package of type %s',
      async (file, type) => {
        move(native, `${bundler} inlined`)
        native.write({ 'package.json': JSON.stringify({ type }) })
        expect(await serve(native, file, { IS_INLINED: '1' })).toEqual({ stdout: answer, stderr: '' })
      },
    )
  })

  describe('a bundle without one of its files', () => {
    it.each([
      ['replica.cjs', 'set `replicaEntry`'],
      ['worker.js', 'copy `tbcoin-engine/dist/workers/worker.js`'],
    ])('fails without %s, and the error says what to do', async (file, remedy) => {
      const dist = move(native, 'esbuild inlined')
      rmSync(join(dist, file))
      await expect(serveInlined()).rejects.toThrow(remedy)
    })

    it('serves without the builder, and the warning names the option', async () => {
      const dist = move(native, 'esbuild inlined')
      rmSync(join(dist, 'artifact-builder.cjs'))
      const { stdout, stderr } = await serveInlined()
      expect({ stdout, warnings: warningsOf(stderr) }).toEqual({
        stdout: answer,
        warnings: [expect.stringContaining('set `builderEntry`')],
      })
    })
  })

  it.each([
    [
      'cannot open onnxruntime-node',
      () => readFileSync(join(outputs.path, 'a builder without require/artifact-builder.mjs'), 'utf8'),
      'onnxruntime-node is not inside',
    ],
    ['exits when it starts', () => 'process.exit(3)', 'exited with code 3, before it was ready'],
  ])('with a builder that %s logs one warning, and models are served', async (_, builder, why) => {
    const dist = move(native, 'esbuild inlined')
    const service = readFileSync(join(dist, 'service.mjs'), 'utf8')
    native.write({
      'dist/service.mjs': service.replaceAll('artifact-builder.cjs', 'artifact-builder.mjs'),
      'dist/artifact-builder.mjs': builder(),
    })
    const { stdout, stderr } = await serveInlined()
    expect({ stdout, warnings: warningsOf(stderr) }).toEqual({
      stdout: answer,
      warnings: [expect.stringContaining(why)],
    })
  })
})

/** Returns the reasons of the logged warnings. */
function warningsOf(stderr: string): string[] {
  const lines = stderr.trim().split('\n')
  return lines.map((line) => (JSON.parse(line) as { readonly err: { readonly message: string } }).err.message)
}
