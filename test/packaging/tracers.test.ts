import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { sharedProject } from '../support/packaging-harness.js'
import { recipeOf } from './recipes.js'

const service = `
import { createRuntime } from 'tbcoin-engine'
createRuntime({ models: [{ name: 'mlp', version: '1', source: process.env.MODEL_FILE }] }).then(async (runtime) => {
  const { probabilities } = await runtime.predict('mlp', { x: [[1, 2, 3, 4]] })
  console.log(runtime.stats().memory.allocator.reason ?? "koffi", probabilities.data.length)
  await runtime.close()
})
`
/** Starts the server in the current folder, sends one request, and ends the server. */
const ask = `
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
const free = createServer().listen(0)
await once(free, 'listening')
const { port } = free.address()
free.close()
const env = { ...process.env, HOSTNAME: '127.0.0.1', PORT: String(port) }
const server = spawn(process.execPath, ['server.js'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
for await (const line of createInterface({ input: server.stdout })) if (line.includes('Ready')) break
const body = JSON.stringify({ x: [[1, 2, 3, 4]] })
const answer = await fetch(\`http://127.0.0.1:\${port}/predict\`, { method: 'POST', body })
console.log(answer.status, (await answer.json()).length)
server.kill()
await once(server, 'exit')
`

const project = await sharedProject(['@vercel/nft@1', 'next@16', 'react', 'react-dom'])
project.write({
  'ask.mjs': ask,
  'service.mjs': service,
  'app/layout.js':
    'export default function Layout({ children }) { return <html><body>{children}</body></html> }',
})

describe('the files that a file tracer has collected', () => {
  /** Runs a script where only `folder` exists, so that nothing else is found. */
  async function runAlone(folder: string, script: string) {
    using elsewhere = tempFolder()
    cpSync(join(project.path, folder), elsewhere.path, { recursive: true, verbatimSymlinks: true })
    const env = { MODEL_FILE: join(project.path, 'model.onnx'), TBCOIN_LOG_LEVEL: 'warn' }
    return await project.onEveryNode(`cd '${elsewhere.path}' && exec node '${script}'`, env)
  }

  it.each(['mjs', 'cjs'])('with @vercel/nft serve (%s)', async (extension) => {
    const { files } = recipeOf('installing', 'File tracers')
    const name = `service.${extension}`
    const text =
      extension === 'mjs' ? service : service.replace(/import (.*) from (.*)/, 'const $1 = require($2)')
    project.write({ [name]: text, 'trace.mjs': (files['trace.mjs'] as string).replace('service.mjs', name) })
    await project.shell('rm -rf traced && node trace.mjs')
    expect(await runAlone('traced', name)).toEqual({ stdout: 'koffi 3\n', stderr: '' })
  })

  it.each(['--turbopack', '--webpack'])(
    'for the standalone output of Next.js serve (%s)',
    async (bundler) => {
      project.write(recipeOf('installing', 'Next.js').files)
      await project.shell(`rm -rf .next && npx next build ${bundler}`, { NEXT_TELEMETRY_DISABLED: '1' })
      const script = join(project.path, 'ask.mjs')
      expect(await runAlone('.next/standalone', script)).toEqual({ stdout: '200 3\n', stderr: '' })
    },
  )
})
