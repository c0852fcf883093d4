import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelPath, packageRoot } from '../../models/catalogue.js'
import { codeBlocks } from '../support/markdown.js'

const run = promisify(execFile)
const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8')
const [typescript, ...otherTypescript] = codeBlocks(readme, 'ts') as [string, ...string[]]
const [javascript] = codeBlocks(readme, 'js') as [string]

/** What the examples print: each line names the version that answered. */
const ANSWERS = /^version 5: 0\.0120\d*\nversion 6: 0\.00166\d*\n$/

/** What the later examples take as given. */
const GIVEN = `import type { ModelInput, Runtime } from 'tbcoin-engine'
declare const runtime: Runtime
declare const input: ModelInput
declare const request: { signal: AbortSignal }
`

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2022',
    lib: ['ES2024', 'ESNext.Disposable'],
    module: 'NodeNext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    noEmit: true,
  },
  include: ['*.ts'],
}

/**
 * Below the package's root, so that `tbcoin-engine` is the package itself, by its exports. With
 * a tsconfig of its own: the root's maps the name to the sources, and tsx follows that.
 */
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(packageRoot, '.tmp-readme-'))
  writeFileSync(join(folder, '.gitignore'), '*\n')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG))
  for (const version of ['5', '6']) {
    mkdirSync(join(folder, 'models', 'vad', version), { recursive: true })
    cpSync(modelPath('vad', version), join(folder, 'models', 'vad', version, 'model.onnx'))
  }
})

afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))

/** Runs node in the folder; rejects unless it ends with exit code 0. */
function node(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return run(process.execPath, args, { cwd: folder, timeout: 50_000 })
}

describe('the examples of the README', () => {
  it('runs the TypeScript one as it stands', async () => {
    writeFileSync(join(folder, 'example.ts'), typescript)
    const { stdout, stderr } = await node('--import', 'tsx', 'example.ts')
    expect(stdout).toMatch(ANSWERS)
    expect(stderr).toBe('')
  })

  it('runs the JavaScript one as it stands', async () => {
    writeFileSync(join(folder, 'example.mjs'), javascript)
    const { stdout, stderr } = await node('example.mjs')
    expect(stdout).toMatch(ANSWERS)
    expect(stderr).toBe('')
  })

  it('runs the one of a test as it stands', async () => {
    const snippet = otherTypescript.find((each) => each.includes('tbcoin-engine/testing'))
    writeFileSync(join(folder, 'vad.test.ts'), snippet as string)
    const { stdout } = await node('--import', 'tsx', '--test', 'vad.test.ts')
    expect(stdout).toMatch(/^(?:#|ℹ) pass 1$/m)
  })

  it('compiles all in TypeScript against the published types', async () => {
    writeFileSync(join(folder, 'example.ts'), typescript)
    // One that imports a neighbour is a file of examples/, which is compiled there.
    const snippets = otherTypescript.filter((snippet) => !snippet.includes("from './"))
    for (const [index, snippet] of snippets.entries()) {
      const given = /create(?:Test)?Runtime\(/.test(snippet) ? '' : GIVEN
      writeFileSync(join(folder, `snippet-${index}.ts`), given + snippet)
    }
    expect(snippets.length).toBeGreaterThan(0)
    await expect(compile()).resolves.toBe('')
  })

  it('does not compile with a mistake in it', async () => {
    writeFileSync(join(folder, 'example.ts'), typescript.replace('hotSwapModel', 'hotSwap'))
    await expect(compile()).resolves.toMatch(/example\.ts.*hotSwap/)
  })
})

/** What the compiler has to say: nothing when all is well. */
async function compile(): Promise<string> {
  const compiler = join(packageRoot, 'node_modules', 'typescript', 'bin', 'tsc')
  return node(compiler, '-p', '.').then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  )
}
