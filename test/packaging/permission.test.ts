import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { logLines, nodes, type Ran, sharedProject } from '../support/packaging-harness.js'
import { recipeOf } from './recipes.js'

const [printed = ''] = recipeOf('surroundings', "Node's permission model").commands
const asItIs = '1024 numbers, original\n'
const withArtifact = /^1024 numbers, (prepacked|external)\n$/

/** A builder that records whether the permission model applies to it. */
const spy = `
require('node:fs').writeFileSync('cache/spied', String(process.permission !== undefined))
require('tbcoin-engine/artifact-builder')
`

const project = await sharedProject([])
project.write({
  ...recipeOf('surroundings', 'Surroundings').files,
  'spy.cjs': spy,
  'model.onnx': graphs.bigLoad(4),
})

describe.each(nodes)('the permission model of Node $major', ({ major, env }) => {
  const isStable = major >= 24
  const command = isStable ? printed : printed.replace('--permission', '--experimental-permission')
  beforeEach(() => project.shell('rm -rf cache'))

  const without = (grant: RegExp): Promise<Ran> => project.shell(command.replace(grant, ''), env)

  it('with the grants of docs/surroundings.md, allows artifacts to be built and used, without a warning', async () => {
    for (const _ of ['built', 'found']) {
      const ran = await project.shell(command, env)
      expect(ran.stdout).toMatch(withArtifact)
      expect(logLines(ran)).toEqual([])
    }
  })

  it.each([
    [
      '--allow-child-process',
      / --allow-child-process/,
      /artifact builder failed/,
      /start Node with --allow-child-process too/,
    ],
    [
      '--allow-fs-write',
      / --allow-fs-write=\S+/,
      /artifact cache unavailable/,
      /--allow-fs-write=\S+\/cache\/\* too/,
    ],
    ['the wildcard', /(?<=cache)\/\*/, /artifact cache unavailable/, /--allow-fs-write=\S+\/cache\/\* too/],
    [
      'both, also with one warning,',
      / --allow-(?:child-process|fs-write=\S+)/g,
      /artifact cache unavailable.*artifact builder failed/,
      /--allow-fs-write.*--allow-child-process/,
    ],
  ])(
    'without %s lets models be served in their original form, with one warning that names the flag',
    async (_, grant, msg, reason) => {
      const ran = await without(grant)
      expect(ran.stdout).toBe(asItIs)
      expect(logLines(ran)).toEqual([
        { msg: expect.stringMatching(msg), reason: expect.stringMatching(reason) },
      ])
    },
  )

  it.each([
    ['--allow-worker', / --allow-worker/, /ERR_INVALID_OPTIONS/],
    ['--allow-addons', / --allow-addons/, /ERR_MODEL_LOAD/],
  ])('without %s causes an error that names the flag', async (flag, grant, code) => {
    const refusal = without(grant)
    await expect(refusal).rejects.toThrow(`start Node with ${flag}`)
    await expect(refusal).rejects.toThrow(code)
  })

  it(`${isStable ? 'applies' : 'does not apply'} to the process that probes models`, async () => {
    await project.shell(`mkdir cache; TBCOIN_BUILDER_ENTRY=spy.cjs ${command}`, env)
    expect(readFileSync(join(project.path, 'cache/spied'), 'utf8')).toBe(String(isStable))
  })
})
