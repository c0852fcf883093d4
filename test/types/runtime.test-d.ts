import {
  type CloseReport,
  createRuntime,
  type DrainReport,
  type EngineEventMap,
  type HotSwapOptions,
  type LifecycleState,
  type LoadModel,
  type LoadModelOptions,
  type Logger,
  type ModelHandle,
  type ModelSubject,
  type Outputs,
  type PredictOptions,
  type Promotion,
  type ReplicaExit,
  type Runtime,
  type RuntimeOptions,
  type SwapResult,
  type Transition,
} from 'tbcoin-engine'
import { describe, expectTypeOf, it } from 'vitest'

declare const runtime: Runtime
declare const handle: ModelHandle

describe('createRuntime', () => {
  it('takes options and gives a runtime that can be disposed of', () => {
    expectTypeOf(createRuntime).parameters.toEqualTypeOf<[options?: RuntimeOptions | undefined]>()
    expectTypeOf(createRuntime()).toEqualTypeOf<Promise<Runtime>>()
    expectTypeOf<Runtime>().toExtend<AsyncDisposable>()
    expectTypeOf(runtime.state).toEqualTypeOf<LifecycleState>()
    expectTypeOf(runtime.close({ timeoutMs: 1 })).toEqualTypeOf<Promise<CloseReport>>()
  })

  it('refuses options that do not exist, and values that do not fit', () => {
    // @ts-expect-error it is called replicas
    void createRuntime({ workers: 2 })
    // @ts-expect-error a number or 'auto'
    void createRuntime({ replicas: 'many' })
    // @ts-expect-error two words are known
    void createRuntime({ onLoadError: 'ignore' })
    // @ts-expect-error every model has a version
    void createRuntime({ models: [{ name: 'vad' }] })
    void createRuntime({ replicas: 'auto', modelDir: new URL('file:///m'), logLevel: 'silent' })
  })

  it('takes a pino logger, or anything like it', () => {
    expectTypeOf<Parameters<Logger['info']>>().toEqualTypeOf<
      [fields: Record<string, unknown>, message: string]
    >()
    // @ts-expect-error the console writes otherwise, and has no children
    void createRuntime({ logger: console })
  })
})

describe('predict', () => {
  it('gives outputs', () => {
    expectTypeOf(runtime.predict('vad', { x: 1 })).toEqualTypeOf<Promise<Outputs>>()
    expectTypeOf(handle.predict({ x: 1 })).toEqualTypeOf<Promise<Outputs>>()
    expectTypeOf(runtime.models.predict('vad', { x: 1 })).toEqualTypeOf<Promise<Outputs>>()
  })

  it('takes the options it knows', () => {
    const options: PredictOptions = {
      version: '5',
      timeoutMs: 10,
      signal: AbortSignal.timeout(1),
      outputs: ['y'],
      transfer: true,
    }
    void runtime.predict('vad', { x: 1 }, options)
    // @ts-expect-error it is called timeoutMs
    void runtime.predict('vad', { x: 1 }, { timeout: 10 })
    // @ts-expect-error milliseconds are a number
    void runtime.predict('vad', { x: 1 }, { timeoutMs: '10' })
    // @ts-expect-error the controller has the signal
    void runtime.predict('vad', { x: 1 }, { signal: new AbortController() })
    // @ts-expect-error names, in an array
    void runtime.predict('vad', { x: 1 }, { outputs: 'y' })
  })

  it('of a handle resizes to a number or auto', () => {
    expectTypeOf(handle.resize(2)).toEqualTypeOf<Promise<void>>()
    expectTypeOf(handle.resize).parameters.toEqualTypeOf<[number | 'auto']>()
  })

  it('of a handle takes no version', () => {
    // @ts-expect-error a handle is of one version
    void handle.predict({ x: 1 }, { version: '5' })
  })

  it('needs its input by name', () => {
    // @ts-expect-error no name
    void runtime.predict('vad', Float32Array.of(1))
    // @ts-expect-error no input
    void runtime.predict('vad')
  })
})

describe('the models', () => {
  it('are loaded and swapped by these options', () => {
    const { models } = runtime
    expectTypeOf(models.loadModel).parameters.toEqualTypeOf<[options: LoadModelOptions]>()
    expectTypeOf(models.loadModel({ name: 'vad', version: '5' })).toEqualTypeOf<Promise<ModelHandle>>()
    expectTypeOf(models.hotSwapModel).parameters.toEqualTypeOf<[options: HotSwapOptions]>()
    expectTypeOf(models.hotSwapModel({ name: 'vad', newVersion: '6' })).toEqualTypeOf<Promise<SwapResult>>()
    expectTypeOf<SwapResult['drained']>().toEqualTypeOf<Promise<DrainReport | undefined>>()
    // @ts-expect-error it is called newVersion
    void models.hotSwapModel({ name: 'vad', version: '6' })
    // @ts-expect-error versions are text
    void models.loadModel({ name: 'vad', version: 5 })
    // @ts-expect-error settings belong in config
    void models.loadModel({ name: 'vad', version: '5', replicas: 2 })
    // @ts-expect-error an age is needed
    void models.cleanupUnusedModels({})
  })

  it('may be missing', () => {
    expectTypeOf(runtime.models.getModel('vad')).toEqualTypeOf<ModelHandle | undefined>()
  })

  it('have loaders that are modules, not functions', () => {
    const load = (async () => ({
      signature: { inputs: [], outputs: [] },
      run: () => ({}),
    })) satisfies LoadModel
    runtime.models.registerModelLoader('mine', new URL('file:///loader.js'))
    // @ts-expect-error a function cannot be sent to a thread
    runtime.models.registerModelLoader('mine', load)
  })
})

describe('events', () => {
  it('are typed', () => {
    runtime.on('transition', (transition) => expectTypeOf(transition).toEqualTypeOf<Transition>())
    runtime.on('promoted', (promotion) => expectTypeOf(promotion).toEqualTypeOf<Promotion>())
    runtime.on('replicaExited', (exit) => expectTypeOf(exit).toEqualTypeOf<ReplicaExit>())
    runtime.once('closed', (report) => expectTypeOf(report).toEqualTypeOf<CloseReport>())
  })

  it('have messages on channels that tell by their subject what they are about', () => {
    const nameOf = ({ subject }: EngineEventMap['transition']) =>
      subject.kind === 'model' ? subject.version : subject.name
    expectTypeOf(nameOf).returns.toBeString()
    expectTypeOf<EngineEventMap['promoted']['subject']>().toEqualTypeOf<ModelSubject>()
  })
})
