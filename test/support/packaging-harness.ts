import { deepStrictEqual } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, inject } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { userEnv } from '../packaging/surroundings.js'

const run = promisify(execFile)

/** The package as it would be published. */
export const tarball: string = inject('tarball')

/**
 * A supported Node: its version, its executable, and the environment that makes it the `node` of a command.
 */
export interface NodeLine {
  readonly major: number
  readonly path: string
  readonly env: { readonly PATH: string }
}

export const nodes: readonly NodeLine[] = inject('nodes').map(({ major, folder }) => ({
  major,
  path: join(folder, 'node'),
  env: { PATH: [folder, process.env.PATH].join(delimiter) },
}))

export interface Ran {
  readonly stdout: string
  readonly stderr: string
}

/** A project of a user, outside of this repository. */
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

  /**
   * Creates a project with the packed package and `packages`, and with onnxruntime-node 1.30 unless they
   * contain it.
   */
  static async install(packages: readonly string[], manifest?: object): Promise<Project> {
    const all = packages.some((each) => each.startsWith('onnxruntime-node@'))
      ? packages
      : ['onnxruntime-node@1.30.0', ...packages]
    return Project.bare([tarball, ...all], manifest)
  }

  /** Creates a project with `packages` only. */
  static async bare(packages: readonly string[], manifest?: object): Promise<Project> {
    const project = new Project(manifest)
    await project.run('npm', ['install', '--no-save', ...packages])
    return project
  }

  write(files: Readonly<Record<string, string | Uint8Array>>): void {
    for (const [name, content] of Object.entries(files)) {
      const path = join(this.path, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, content)
    }
  }

  /** Runs a command; rejects with its output unless it ends with code 0. */
  async run(
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ran> {
    return run(program, [...args], {
      cwd: this.path,
      env: { ...this.environment(), ...env },
      maxBuffer: 64 * 2 ** 20,
      timeout: 240_000,
    }).catch((error: Error & Ran) => {
      throw new Error(`${program} ${args.join(' ')}: ${error.message}\n${error.stdout}\n${error.stderr}`)
    })
  }

  environment(): NodeJS.ProcessEnv {
    return { ...userEnv(), TBCOIN_CACHE_DIR: join(this.path, 'cache') }
  }

  node(...args: readonly string[]): Promise<Ran> {
    return this.run('node', args)
  }

  /** Runs a shell command line, as documentation prints it. */
  shell(line: string, env?: Readonly<Record<string, string>>): Promise<Ran> {
    return this.run('sh', ['-c', line], env)
  }

  /** Runs a shell command line with each supported Node; rejects unless the results are the same. */
  async onEveryNode(line: string, env?: Readonly<Record<string, string>>): Promise<Ran> {
    const all: Ran[] = []
    for (const node of nodes) all.push(await this.shell(line, { ...env, ...node.env }))
    const [first] = all
    for (const ran of all) deepStrictEqual(ran, first)
    return first as Ran
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]()
  }
}

/** Returns the log lines of a runtime from the standard error of a process. */
export function logLines({ stderr }: Ran): readonly { readonly msg: string; readonly reason?: string }[] {
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => {
    const { msg, err } = JSON.parse(line) as { msg: string; err?: { message: string } }
    return err === undefined ? { msg } : { msg, reason: err.message }
  })
}

/**
 * Returns a project with the packed package and `packages` for all tests of a file; call it at the top of the
 * file.
 */
export async function sharedProject(packages: readonly string[], manifest?: object): Promise<Project> {
  const project = await Project.install(packages, manifest)
  afterAll(() => project[Symbol.dispose]())
  return project
}
