import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { codeBlocks, sectionOf } from '../fixtures/markdown.js'
import { Project, packageRoot } from './kit.js'

const page = readFileSync(join(packageRoot, 'docs/bundling.md'), 'utf8')
const answer = '3 probabilities\n'

/** The files of a section, by what their first line calls them, and its commands. */
function recipeOf(heading: string): {
  readonly files: Record<string, string>
  readonly commands: readonly string[]
} {
  const section = sectionOf(page, heading)
  const files = codeBlocks(section, 'js').map(
    (text) => [/^\/\/ (\S+)/.exec(text)?.[1] as string, text] as const,
  )
  return { files: Object.fromEntries(files), commands: codeBlocks(section, 'sh') }
}

describe('the recipes of docs/bundling.md', () => {
  let project: Project
  beforeAll(async () => {
    project = await Project.install([
      'esbuild@0.28.2',
      'rollup@4',
      '@rollup/plugin-commonjs',
      '@rollup/plugin-json',
      '@rollup/plugin-node-resolve',
      'webpack@5',
      'webpack-cli@6',
    ])
    project.write(recipeOf('Bundling').files)
  })
  afterAll(() => project[Symbol.dispose]())

  const bundle = async (heading: string, command: number): Promise<void> => {
    const { files, commands } = recipeOf(heading)
    project.write(files)
    await project.shell(`rm -rf dist cache; ${commands[command]}`)
  }
  const serve = (env: Record<string, string>) => project.run(process.execPath, ['dist/service.mjs'], env)

  it.each([
    ['esbuild', 0, {}],
    ['esbuild', 1, { IS_INLINED: '1' }],
    ['rollup', 0, { IS_INLINED: '1' }],
    ['webpack', 0, {}],
  ])('%s %i makes a service that answers, without a warning', async (heading, command, env) => {
    await bundle(heading, command)
    expect(await serve(env)).toEqual({ stdout: answer, stderr: '' })
  })
})
