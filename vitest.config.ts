import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

type ProjectName =
  | 'unit'
  | 'unit-isolated'
  | 'property'
  | 'simulation'
  | 'contract'
  | 'integration'
  | 'process'

interface ProjectOptions {
  readonly name: ProjectName
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
  /** Groups run one after the other: first the tests that start neither threads nor processes. */
  readonly groupOrder: number
  readonly timeoutMs: number
  /** Whether each file has a process of its own; if not, the files share the modules that they import. */
  readonly isolate?: boolean
}

/** Unit tests that replace modules, or measure the memory of their process. */
const ISOLATED = [
  'test/unit/artifacts/builder/build-lock-refused.test.ts',
  'test/unit/errors/errors.test.ts',
  'test/unit/memory/memory-meter.test.ts',
  'test/unit/platform/process-memory.test.ts',
  'test/unit/platform/user-cache-dir.test.ts',
]

/** Returns the tests of one folder. By default Vitest would leave one core free. */
function project({
  name,
  include = [`test/${name}/**/*.test.ts`],
  exclude = [],
  groupOrder,
  timeoutMs,
  isolate = true,
}: ProjectOptions) {
  return {
    extends: true as const,
    test: {
      name,
      include: [...include],
      exclude: [...exclude],
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      maxWorkers: availableParallelism(),
      isolate,
      sequence: { groupOrder },
    },
  }
}

/** Where runtimes keep their artifacts; begins empty. */
const cacheHome = mkdtempSync(join(tmpdir(), 'tbcoin-test-cache-'))
process.once('exit', () => rmSync(cacheHome, { recursive: true, force: true }))

export default defineConfig({
  test: {
    // By default projects watch in a terminal, under `vitest run` too. Of the `tsc --watch` of the types
    // vitest ends the script that starts the compiler, but not the compiler, and then waits for that.
    watch: false,
    env: { XDG_CACHE_HOME: cacheHome },
    // Forks, not threads: a test file must own its process, because exit hooks
    // and native aborts are part of what is tested.
    pool: 'forks',
    // Compiled files are run by Node as they are: a worker's `new URL(...)` must
    // point into dist/, and 'tbcoin-engine' must be the module a user gets.
    server: { deps: { external: [/\/dist\//] } },
    projects: [
      project({ name: 'unit', exclude: ISOLATED, groupOrder: 1, timeoutMs: 10_000, isolate: false }),
      project({ name: 'unit-isolated', include: ISOLATED, groupOrder: 1, timeoutMs: 10_000 }),
      project({ name: 'property', groupOrder: 1, timeoutMs: 10_000, isolate: false }),
      project({ name: 'simulation', groupOrder: 1, timeoutMs: 300_000 }),
      project({ name: 'contract', groupOrder: 2, timeoutMs: 10_000 }),
      project({ name: 'integration', groupOrder: 2, timeoutMs: 60_000 }),
      project({ name: 'process', groupOrder: 2, timeoutMs: 120_000 }),
      {
        // Checked by tsc, never run. Errors elsewhere are `npm run typecheck`'s to report.
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['test/types/**/*.test-d.ts'],
            tsconfig: './tsconfig.json',
            ignoreSourceErrors: true,
          },
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**', 'workers/**'],
      // Threads and child processes run dist/, out of sight of this process; merging the part
      // that is seen through source maps gives wrong numbers.
      exclude: ['dist/**'],
      reporter: ['text', 'html', 'json-summary'],
    },
  },
})
