import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { userInfo } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mlpReference } from '../../models/synthetic/graphs.js'
import { logLines, Project, type Ran } from '../support/packaging-harness.js'

const service = `
import { createRuntime } from 'tbcoin-engine'

const x = [[1, 2, 3, 4]]
const runtime = await createRuntime({
  logLevel: 'warn',
  artifacts: { minBytes: 0 },
  models: [{ name: 'mlp', version: '1', source: 'model.onnx', config: { sample: { input: { x } } } }],
})
const { probabilities } = await runtime.predict('mlp', { x })
const { form } = runtime.models.getModel('mlp').stats().artifact
console.log(JSON.stringify({ answer: [...probabilities.data], form, pid: process.pid, uid: process.getuid() }))
await runtime.close()
`

const unshare = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child']
const refusal = spawnSync('unshare', [...unshare, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'])
const mayUnshare = refusal.status === 0

const isLinux = process.platform === 'linux'
const artifact = expect.stringMatching(/^(prepacked|external)$/)
const noCache = 'artifact cache unavailable; models are served in their original form'
const noTrim = "freed memory stays with the C library's allocator, as koffi cannot be loaded"
const warning = (msg: string, reason: RegExp) => ({ msg, reason: expect.stringMatching(reason) })

/** How a service is started. */
interface Surroundings {
  readonly isWithoutKoffi?: boolean
  /** What is done to the system before, which only the service sees. */
  readonly mounts?: string
  readonly isFirst?: boolean
  readonly user?: string
  /** All of the environment but PATH. */
  readonly env?: string
}

const readOnlyRoot = 'mount -o remount,bind,ro /'
const readOnlyHome = 'mount -o remount,ro /mnt/home'
const noTemporaryFolder = 'mount -t tmpfs -o ro tmpfs /tmp'
const stranger = '--reuid 123456 --regid 123456 --clear-groups'
const home = 'HOME=/mnt/home'

describe('in minimal surroundings a model is served, and one warning says what is not done:', () => {
  let whole: Project
  let withoutKoffi: Project
  beforeAll(async () => {
    whole = await Project.install([])
    withoutKoffi = await Project.install(['--omit=optional'])
    for (const project of [whole, withoutKoffi]) {
      project.write({ 'service.mjs': service })
      chmodSync(project.path, 0o755)
    }
  })
  afterAll(() => {
    whole[Symbol.dispose]()
    withoutKoffi[Symbol.dispose]()
  })

  /** What a run has told; the answer is checked. */
  function told(ran: Ran): object {
    const { answer, ...rest } = JSON.parse(ran.stdout) as { answer: number[] }
    for (const [index, expected] of mlpReference([1, 2, 3, 4]).entries()) {
      expect(answer[index]).toBeCloseTo(expected, 5)
    }
    return { ...rest, warnings: logLines(ran) }
  }

  /** Runs the service in `/mnt/app`, which others can read wherever the project and Node are. */
  async function serve({ isWithoutKoffi, mounts, isFirst, user, env }: Surroundings): Promise<object> {
    const project = isWithoutKoffi ? withoutKoffi : whole
    const inside = `
      mount -t tmpfs -o mode=755 tmpfs /mnt
      mkdir /mnt/app /mnt/home
      touch /mnt/node
      mount --bind '${project.path}' /mnt/app
      mount --bind '${process.execPath}' /mnt/node
      mount -o remount,bind,ro /mnt/app
      mount -o remount,ro /mnt
      mount -t tmpfs tmpfs /mnt/home
      ${mounts ?? ''}
      cd /mnt/app
      exec ${user === undefined ? '' : `setpriv ${user}`} env -i PATH="$PATH" ${env ?? ''} /mnt/node service.mjs`
    return told(await project.run('unshare', [...(isFirst ? unshare : ['--mount']), 'sh', '-ec', inside]))
  }

  it.runIf(isLinux)('without koffi, freed memory does not go back', async () => {
    expect(told(await withoutKoffi.node('service.mjs'))).toMatchObject({
      form: artifact,
      warnings: [warning(noTrim, /^it is not installed; npm install koffi$/)],
    })
  })

  it.runIf(mayUnshare).each<[string, Surroundings, object]>([
    ['with nothing missing, there is no warning', { env: home }, { form: artifact, warnings: [] }],
    [
      'without HOME, the home in the list of users is used',
      { mounts: `mount -t tmpfs tmpfs '${userInfo().homedir}'` },
      { form: artifact, warnings: [] },
    ],
    [
      'for a user without an entry and a home, no artifacts are kept',
      { user: stranger },
      { form: 'original', uid: 123456, warnings: [warning(noCache, /no home folder; set `cacheDir`/)] },
    ],
    [
      'for nobody, no artifacts are kept',
      { user: '--reuid nobody --regid nogroup --clear-groups', env: 'HOME=/nonexistent' },
      { form: 'original', warnings: [warning(noCache, /EACCES.*\/nonexistent/)] },
    ],
    [
      'on a read-only root, no artifacts are kept',
      { mounts: `${readOnlyHome}; ${readOnlyRoot}`, env: home },
      { form: 'original', warnings: [warning(noCache, /EROFS.*\/mnt\/home/)] },
    ],
    [
      'without a temporary folder, nothing is missing',
      { mounts: noTemporaryFolder, env: `${home} TMPDIR=/nonexistent` },
      { form: artifact, warnings: [] },
    ],
    [
      'in the first process of a container, nothing is missing',
      { isFirst: true, env: home },
      { form: artifact, pid: 1, warnings: [] },
    ],
    [
      'with all of that together, neither is done',
      {
        isWithoutKoffi: true,
        isFirst: true,
        user: stranger,
        mounts: `${noTemporaryFolder}; ${readOnlyRoot}`,
        env: 'TMPDIR=/nonexistent',
      },
      {
        form: 'original',
        pid: 1,
        uid: 123456,
        warnings: [warning(`${noTrim}; ${noCache}`, /npm install koffi; this user has no home folder/)],
      },
    ],
  ])('%s', async (_, surroundings, expected) => {
    expect(await serve(surroundings)).toMatchObject(expected)
  })
})

describe.skipIf(mayUnshare)('namespaces for that', () => {
  it.skip(`are not to be had here: ${refusal.error?.message ?? refusal.stderr}`)
})
