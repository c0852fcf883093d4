export { createTestRuntime, type TestRuntime } from './create-test-runtime.js'
export type { TestClock } from './test-clock.js'
export type { TestModel, TestModelConfig, TestVersion } from './test-models.js'
export type { TestRuntimeOptions } from './test-options.js'
