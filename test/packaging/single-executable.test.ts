import { describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { logLines, type NodeLine, nodes, sharedProject } from '../support/packaging-harness.js'
import { recipeOf } from './recipes.js'

const { files, commands } = recipeOf('surroundings', 'Single executables')
const [make, start, bundle] = commands

const project = await sharedProject(['postject@1.0.0-alpha.6', 'esbuild@0.28.2'])
project.write({ ...files, 'model.onnx': graphs.bigLoad(4) })

describe.runIf(process.platform === 'linux')('a single executable, made as docs/surroundings.md says', () => {
  it.each([
    ['with the packages beside it', 'true'],
    // Only what the page leaves in `node_modules` is to be needed.
    ['with everything bundled', `${bundle}rm -r node_modules/tbcoin-engine node_modules/comlink`],
  ])('%s, serves with one warning, and with artifacts where a Node is named', async (_, prepare) => {
    await project.shell(`set -e\n${prepare}`)
    for (const { env } of nodes) await expectService(env)
  })

  async function expectService(env: NodeLine['env']): Promise<void> {
    await project.shell(`set -e\nrm -rf cache\n${make}`, env)
    const alone = await project.shell('./service')
    expect(alone.stdout).toBe('1024 numbers, original\n')
    expect(logLines(alone)).toEqual([
      {
        msg: expect.stringContaining('models are served in their original form'),
        reason: expect.stringContaining('set `builderExecPath` to a Node executable'),
      },
    ])
    expect(await project.shell(start as string, env)).toEqual({
      stdout: expect.stringMatching(/^1024 numbers, (prepacked|external)\n$/),
      stderr: '',
    })
  }
})
