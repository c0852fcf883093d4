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

/** The output of the examples: each line names the version that served. */
const ANSWERS = /^version 5: 0\.0120\d*\nversion 6: 0\.00166\d*\n$/

/** The declarations that later examples assume. */
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
 * A folder below the root of the package, so that `tbcoin-engine` resolves to the package itself by its
 * exports. It has its own tsconfig, because that of the root maps the name to the sources, and tsx follows
 * that.
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
  it('include a TypeScript example that runs unchanged', async () => {
    writeFileSync(join(folder, 'example.ts'), typescript)
    const { stdout, stderr } = await node('--import', 'tsx', 'example.ts')
    expect(stdout).toMatch(ANSWERS)
    expect(stderr).toBe('')
  })

  it('include a JavaScript example that runs unchanged', async () => {
    writeFileSync(join(folder, 'example.mjs'), javascript)
    const { stdout, stderr } = await node('example.mjs')
    expect(stdout).toMatch(ANSWERS)
    expect(stderr).toBe('')
  })

  it('run as they stand where they are a test', async () => {
    const snippet = otherTypescript.find((each) => each.includes('tbcoin-engine/testing'))
    writeFileSync(join(folder, 'vad.test.ts'), snippet as string)
    const { stdout } = await node('--import', 'tsx', '--test', 'vad.test.ts')
    expect(stdout).toMatch(/^(?:#|ℹ) pass 1$/m)
  })

  it('compile in TypeScript against the published types', async () => {
    writeFileSync(join(folder, 'example.ts'), typescript)
    // A snippet that imports a sibling file is in examples/, and is compiled there.
    const snippets = otherTypescript.filter((snippet) => !snippet.includes("from './"))
    for (const [index, snippet] of snippets.entries()) {
      const preamble = /create(?:Test)?Runtime\(/.test(snippet) ? '' : GIVEN
      writeFileSync(join(folder, `snippet-${index}.ts`), preamble + snippet)
    }
    expect(snippets.length).toBeGreaterThan(0)
    await expect(compile()).resolves.toBe('')
  })

  it('do not compile with a mistake in them', async () => {
    writeFileSync(join(folder, 'example.ts'), typescript.replace('hotSwapModel', 'hotSwap'))
    await expect(compile()).resolves.toMatch(/example\.ts.*hotSwap/)
  })
})

/** Returns the errors of the compiler, empty if there are none. */
async function compile(): Promise<string> {
  const compiler = join(packageRoot, 'node_modules', 'typescript', 'bin', 'tsc')
  return node(compiler, '-p', '.').then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  )
}
