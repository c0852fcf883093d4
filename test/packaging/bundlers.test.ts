import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Project } from './kit.js'
import { recipeOf } from './recipes.js'

const answer = '3 probabilities\n'

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
    project.write(recipeOf('bundling', 'Bundling').files)
  })
  afterAll(() => project[Symbol.dispose]())

  const bundle = async (heading: string, command: number): Promise<void> => {
    const { files, commands } = recipeOf('bundling', heading)
    project.write(files)
    await project.shell(`rm -rf dist cache; ${commands[command]}`)
  }
  const serve = (env: Record<string, string>) => project.onEveryNode('node dist/service.mjs', env)

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
