import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

type ProjectName = 'unit' | 'property' | 'simulation' | 'contract' | 'integration' | 'process'

/**
 * One project per folder of test/. Groups run one after the other, so that the folders that start threads and child
 * processes have the machine to themselves: `maxWorkers` is the number of their files that run at the same time.
 */
function project(name: ProjectName, groupOrder: number, testTimeout: number, maxWorkers: number) {
  return {
    extends: true as const,
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout,
      hookTimeout: testTimeout,
      maxWorkers,
      sequence: { groupOrder },
    },
  }
}

/** By default Vitest leaves one core free. */
const cores = availableParallelism()

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
      project('unit', 1, 10_000, cores),
      project('property', 1, 10_000, cores),
      project('simulation', 1, 300_000, cores),
      project('contract', 2, 10_000, 1),
      project('integration', 3, 60_000, 1),
      project('process', 4, 120_000, 2),
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
