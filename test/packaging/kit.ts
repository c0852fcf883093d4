import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as graphs from '../fixtures/graphs.js'
import { hostEnv } from '../fixtures/process/run-child.js'
import { tempFolder } from '../fixtures/temp-folder.js'

const run = promisify(execFile)
export const packageRoot: string = fileURLToPath(new URL('../../', import.meta.url))

const tools = tempFolder()
process.once('exit', () => tools[Symbol.dispose]())
let packing: Promise<string> | undefined

/** The package as it would be published, of what is built. */
export function tarball(): Promise<string> {
  packing ??= run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', tools.path], {
    cwd: packageRoot,
  }).then(({ stdout }) => join(tools.path, (JSON.parse(stdout) as [{ filename: string }])[0].filename))
  return packing
}

export interface Ran {
  readonly stdout: string
  readonly stderr: string
}

/** A project of a user, outside of this one. */
export class Project {
  readonly #folder = tempFolder()
  readonly path: string = this.#folder.path

  constructor(manifest: object = {}) {
    this.write({
      'package.json': JSON.stringify({ name: 'user', private: true, ...manifest }),
      '.npmrc': 'ignore-scripts=true\naudit=false\nfund=false\nupdate-notifier=false\n',
      'model.onnx': graphs.mlp(),
    })
  }

  /** With the packed package, `packages` beside it and, unless they have another, onnxruntime-node 1.30. */
  static async install(packages: readonly string[], manifest?: object): Promise<Project> {
    const project = new Project(manifest)
    const all = packages.some((each) => each.startsWith('onnxruntime-node@'))
      ? packages
      : ['onnxruntime-node@1.30.0', ...packages]
    await project.run('npm', ['install', '--no-save', await tarball(), ...all])
    return project
  }

  write(files: Readonly<Record<string, string | Uint8Array>>): void {
    for (const [name, content] of Object.entries(files)) {
      const path = join(this.path, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, content)
    }
  }

  /** Rejects, with what was written, unless it ends with code 0. */
  async run(
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ran> {
    const cacheDir = join(this.path, 'cache')
    return run(program, [...args], {
      cwd: this.path,
      env: { ...userEnv(), TBCOIN_CACHE_DIR: cacheDir, ...env },
      maxBuffer: 64 * 2 ** 20,
      timeout: 240_000,
    }).catch((error: Error & Ran) => {
      throw new Error(`${program} ${args.join(' ')}: ${error.message}\n${error.stdout}\n${error.stderr}`)
    })
  }

  node(...args: readonly string[]): Promise<Ran> {
    return this.run(process.execPath, args)
  }

  /** Runs a line of a shell, as documentation has it. */
  shell(line: string, env?: Readonly<Record<string, string>>): Promise<Ran> {
    return this.run('sh', ['-c', line], env)
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]()
  }
}

/** The environment of a user's shell: without what the test runner and `npm run` add. */
function userEnv(): NodeJS.ProcessEnv {
  const added = /^(?:npm_.*|NODE_ENV|DEV|PROD|TEST|MODE)$/
  return Object.fromEntries(Object.entries(hostEnv()).filter(([name]) => !added.test(name)))
}
