import { cpSync } from 'node:fs'
import { relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { sharedProject, tarball } from '../support/packaging-harness.js'
import { packageRoot } from './surroundings.js'

/** What tests, builds and benches leave in a checkout, by its path there. */
const LEFTOVERS =
  /^(?:\.git|node_modules|dist|coverage|models\/(?:repository|\.cache|software-gpu)|bench\/results)$|(?:^|\/)\.tmp-[^/]*$/

/** Returns true if `path` belongs to a checkout and was not built in it. */
function isSource(path: string): boolean {
  return !LEFTOVERS.test(relative(packageRoot, path).replaceAll('\\', '/'))
}

const project = await sharedProject(['publint@0.3', '@arethetypeswrong/cli@0.18'])

describe('the package', () => {
  it('has no problem that publint reports', async () => {
    expect((await project.run('npx', ['publint', '--strict', tarball])).stdout).toContain('All good!')
  })

  it('has correct types for every way of importing it', async () => {
    // The resolution of Node 10 does not know folders in `exports`, which are for Piscina and bundlers.
    await project.run('npx', ['attw', tarball, '--profile', 'node16'])
  })

  it('is built by npm pack and npm publish in a fresh checkout, and by an installation from git', async () => {
    using checkout = tempFolder()
    cpSync(packageRoot, checkout.path, { recursive: true, filter: isSource })
    await project.shell(
      `cd '${checkout.path}' && git init --quiet && git add --all && git -c user.name=x -c user.email=x commit --quiet --message=x && npm ci`,
    )
    for (const command of ['pack --dry-run', 'publish --dry-run']) {
      const { stdout } = await project.shell(`cd '${checkout.path}' && rm -rf dist && npm ${command} --json`)
      expect(stdout).toContain('dist/src/index.cjs')
      expect(stdout).toContain('dist/workers/replica.cjs')
    }
    await project.shell(`npm install --ignore-scripts=false 'git+file://${checkout.path}'`)
    const load =
      "require('tbcoin-engine'); import('tbcoin-engine').then((all) => console.log(typeof all.createRuntime))"
    expect((await project.node('-e', load)).stdout).toBe('function\n')
  })
})
