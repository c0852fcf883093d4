/// <reference types="node" preserve="true" />
export { createTestRuntime, type TestRuntime } from './create-test-runtime.js'
export type { TestClock } from './test-clock.js'
export type { TestModel, TestModelConfig, TestVersion } from './test-model.js'
export type { TestRuntimeOptions } from './test-runtime-options.js'
