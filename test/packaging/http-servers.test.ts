import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { modelPath } from '../../models/catalogue.js'
import { certificate } from '../process/children/certificate.mjs'
import { codeBlocks, filesIn, sectionOf } from '../support/markdown.js'
import { nodes, sharedProject } from '../support/packaging-harness.js'
import { Callers, type Ends, idleConnections, MARK, NOT_TAKEN, type Protocol } from './http-callers.js'
import { packageRoot, userEnv } from './surroundings.js'

const read = (page: string): string => readFileSync(join(packageRoot, page), 'utf8')
const files = filesIn(read('docs/http.md'), 'js')
files['readme.ts'] = codeBlocks(sectionOf(read('README.md'), 'An HTTP service'), 'ts')[0] as string
/** The change that the last line of docs/http.md describes. */
files['http2-plain.mjs'] = (files['http2.mjs'] as string)
  .replace('createSecureServer(identity, ', 'createServer(')
  .replace('createSecureServer', 'createServer')

/** The timeout that the programs pass to `closeServer`, or its default. */
const TIMEOUT_MS = 10_000

/** Prints the port of a server, and at the end the number of requests of `Callers` that it received. */
const watcher = `
import { EventEmitter } from 'node:events'
import { Server } from 'node:net'
import { writeSync } from 'node:fs'
let requests = 0
Server.prototype.emit = function (name, ...values) {
  if (name === 'request' && values[0].headers['${MARK}'] !== undefined) requests += 1
  if (name === 'listening') writeSync(1, this.address().port + '\\n')
  return EventEmitter.prototype.emit.call(this, name, ...values)
}
process.once('exit', () => writeSync(1, requests + '\\n'))
`

/**
 * Sends requests on 100 connections until it is stopped; then prints the number of requests with each
 * outcome.
 */
const cannon = `
import autocannon from 'autocannon'
const ends = {}
const count = (end) => {
  ends[end] = (ends[end] ?? 0) + 1
}
const run = autocannon({ url: process.argv[2], connections: 100, duration: 600 })
run.on('response', (_client, status) => count(status))
run.on('reqError', ({ code, message }) => {
  count(code ?? message)
  if (code === 'ECONNREFUSED') run.stop()
})
await run
console.log(JSON.stringify(ends))
`

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<unknown[]>
  readonly stdout: Promise<string>
  readonly stderr: Promise<string>
}

const project = await sharedProject([
  'autocannon',
  'fastify@5',
  'express@5',
  'typescript@7',
  '@types/node@20',
])

describe('a service that gets SIGTERM under load, beside idle connections', () => {
  beforeAll(async () => {
    await promisify(execFile)(process.execPath, ['dist/models/fetch.js', 'vad/5'], { cwd: packageRoot })
    const { path } = project
    cpSync(modelPath('vad', '5'), join(path, 'models/vad/5/model.onnx'))
    const programs = Object.entries(files)
    project.write({
      ...Object.fromEntries(programs.map(([name, code]) => [name, code.replaceAll('8080', '0')])),
      'package.json': JSON.stringify({ type: 'module' }),
      'watcher.mjs': watcher,
      'cannon.mjs': cannon,
      'key.pem': certificate.key,
      'cert.pem': certificate.cert,
    })
    await project.node('node_modules/typescript/bin/tsc', '--strict', '--module', 'nodenext', 'readme.ts')
  })

  const running = new Set<ChildProcess>()
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL')
    running.clear()
  })

  const start = (node: string, ...args: readonly string[]): Running => {
    const child = spawn(node, args, {
      cwd: project.path,
      env: { ...userEnv(), TBCOIN_CACHE_DIR: join(project.path, 'cache') },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    return { child, ended: once(child, 'exit'), stdout: text(child.stdout), stderr: text(child.stderr) }
  }

  describe.each(nodes)('with Node $major', ({ path }) => {
    it.each<[string, Protocol]>([
      ['readme.js', 'http'],
      ['express.mjs', 'http'],
      ['fastify.mjs', 'http'],
      ['https.mjs', 'https'],
      ['http2.mjs', 'http2'],
      ['http2-plain.mjs', 'http2 without TLS'],
    ])(
      '(%s) answers all requests that it has accepted, and soon ends with code 0',
      async (program, protocol) => {
        const service = start(path, '--import', './watcher.mjs', program)
        const [port] = await once(service.child.stdout as Readable, 'data')
        const idle = await idleConnections(protocol, Number(port))
        const callers = new Callers(protocol, Number(port), 20)
        const load =
          protocol === 'http'
            ? start(process.execPath, 'cannon.mjs', `http://127.0.0.1:${Number(port)}/`)
            : undefined
        await callers.answered(500)

        const toldAtMs = performance.now()
        service.child.kill('SIGTERM')
        expect(await service.ended).toEqual([0, null])
        expect(performance.now() - toldAtMs).toBeLessThan(TIMEOUT_MS)
        await Promise.all([idle.closed, callers.done])
        const ends = [callers.ends, JSON.parse((await load?.stdout) ?? '{}') as Ends]
        const accepted = Number((await service.stdout).trim().split('\n').at(-1))
        expect(answersOf(callers.ends)).toBe(accepted)
        // The example of the README rejects requests after a second, for which a machine may be too slow.
        const statuses = program === 'readme.js' ? ['200', '503'] : ['200']
        const expected = [...statuses, 'ECONNREFUSED', NOT_TAKEN]
        expect(ends.flatMap(Object.keys).filter((end) => !expected.includes(end))).toEqual([])
        expect((await service.stderr).match(/^(?!\{"level":[123]0,).+/gm)).toBeNull()
      },
    )
  })
})

function answersOf(ends: Ends): number {
  const answers = Object.entries(ends).filter(([end]) => /^\d+$/.test(end))
  return answers.reduce((sum, [, count]) => sum + count, 0)
}
