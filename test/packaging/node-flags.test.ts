import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it } from 'vitest'
import { nodes, sharedProject } from '../support/packaging-harness.js'
import { recipeOf } from './recipes.js'

const loader = `
import type { LoadedModel, LoaderContext } from 'tbcoin-engine'

export function load(_context: LoaderContext): LoadedModel {
  const spec = { name: 'x', type: 'float32', dims: ['n'] } as const
  return {
    signature: { inputs: [spec], outputs: [{ ...spec, name: 'y' }] },
    run: ({ x }) => ({ y: { ...x, data: (x!.data as Float32Array).map((each) => 2 * each) } }),
  }
}
`
const typescript = `
import { createRuntime, type Runtime } from 'tbcoin-engine'

const runtime: Runtime = await createRuntime({
  logLevel: 'warn',
  loaders: { double: new URL('./loader.ts', import.meta.url) },
  models: [
    { name: 'mlp', version: '1', source: 'model.onnx' },
    { name: 'double', version: '1', source: 'model.onnx', modelType: 'double' },
  ],
})
const { probabilities } = await runtime.predict('mlp', { x: [[1, 2, 3, 4]] })
const { y } = await runtime.predict('double', { x: [1, 2] })
console.log(probabilities!.data.length, [...y!.data].join())
await runtime.close()
`
const watched = `
import { createServer } from 'node:http'
import { createRuntime } from 'tbcoin-engine'

const runtime = await createRuntime({
  logLevel: 'warn',
  handleSignals: true,
  replicas: 2,
  models: [{ name: 'mlp', version: '1', source: 'model.onnx' }],
})
const server = createServer().listen(0)
runtime.lifecycle.addShutdownHandler(() => void server.close(), { name: 'server', phase: 'readiness' })
runtime.on('closed', () => console.log('closed'))
const { probabilities } = await runtime.predict('mlp', { x: [[1, 2, 3, 4]] })
console.log('answered', probabilities.data.length)
`
/** An error on the main thread, and an error in a replica. */
const failing = `
import { createRuntime } from 'tbcoin-engine'

const runtime = await createRuntime({ logLevel: 'silent', artifacts: 'off', probe: 'off' })
const errors = [
  await runtime.predict('nobody', {}).catch((error) => error),
  await runtime.models.loadModel({ name: 'm', version: '1', source: 'service.mjs' }).catch((error) => error),
]
for (const { stack } of errors) console.log(stack)
await runtime.close()
`

const project = await sharedProject([], { type: 'module' })
project.write({ 'loader.ts': loader, 'service.ts': typescript })

describe.each(nodes)('Node $major', ({ major, env }) => {
  it.runIf(major >= 24)('runs a service and a loader written in TypeScript', async () => {
    const [command = ''] = recipeOf('surroundings', 'TypeScript without a build').commands
    const answers = { stdout: '3 2,4\n', stderr: '' }
    expect(await project.shell(command, env)).toEqual(answers)
    expect(await project.shell(command.replace('node', 'node --experimental-strip-types'), env)).toEqual(
      answers,
    )
  })

  it('with --watch restarts a service, each time after the previous one has closed', async () => {
    project.write({ 'service.mjs': watched })
    const [command = ''] = recipeOf('surroundings', 'Restart on change').commands
    const child = spawn('sh', ['-c', `exec ${command}`], {
      cwd: project.path,
      env: { ...project.environment(), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      const ended = once(child, 'exit')
      const lines: string[] = []
      for await (const line of createInterface({ input: child.stdout })) {
        if (!/^(answered|closed)/.test(line)) continue
        lines.push(line)
        if (line === 'closed') continue
        if (lines.length < 5) appendFileSync(join(project.path, 'service.mjs'), '// changed\n')
        else child.kill('SIGTERM')
      }
      const life = ['answered 3', 'closed']
      expect(lines).toEqual([...life, ...life, ...life])
      expect(await ended).toEqual([0, null])
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('with --enable-source-maps shows the sources in stack traces, also of replicas', async () => {
    project.write({ 'service.mjs': failing })
    const [command = ''] = recipeOf('surroundings', 'Source maps').commands
    const { stdout } = await project.shell(command, env)
    expect(stdout).toMatch(/ModelNotFoundError: .*\n.*\/src\/models\/registry\/model-registry\.ts:\d+/)
    expect(stdout).toMatch(/ModelLoadError: .*\n.*\/workers\/onnx\/create-session\.ts:\d+/)
    expect(stdout).not.toContain('/dist/')
  })
})
