import { defineConfig } from 'vitest/config'

/** Tests that install the packed package and other tools from the npm registry; minutes, so apart from the others. */
export default defineConfig({
  test: {
    include: ['test/packaging/**/*.test.ts'],
    globalSetup: 'test/packaging/setup.ts',
    pool: 'forks',
    // Much of the time goes to the registry and the disk.
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
