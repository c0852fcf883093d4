import { createRuntime } from 'tbcoin-engine'
import { modelPath, sampleData } from '../models/catalogue.js'
import { type Cache, registerCache } from './service/cache.js'
import { Listeners } from './service/listeners.js'
import { registerStore, type Store } from './service/store.js'
import { readClip } from './speech/clip.js'

// A service as it stands in production: a database, a cache, a model that is swapped under traffic,
// health, statistics, and a clean end at SIGTERM. Needs POSTGRES_URL and REDIS_URL; prints JSON lines.

const LISTENERS = 16
const WINDOWS_BEFORE_SWAP = 1_000
const STATISTICS_EVERY_MS = 1_000

function say(kind: string, fields: object): void {
  process.stdout.write(`${JSON.stringify({ kind, ...fields })}\n`)
}

function fromEnvironment(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`${name} is not set`)
  return value
}

const urls = { postgres: fromEnvironment('POSTGRES_URL'), redis: fromEnvironment('REDIS_URL') }
const table = process.env.SERVICE_TABLE ?? 'speech_windows'

const runtime = await createRuntime({
  appName: 'speech-service',
  logLevel: 'warn',
  handleSignals: true,
  models: [{ name: 'vad', version: '5', source: modelPath('vad', '5') }],
})
runtime.on('closed', ({ rejected, stuck, failures }) => {
  say('closed', { rejected, stuck, failures: failures.map(({ message }) => message) })
})

const { resources, lifecycle, models } = runtime
registerStore(resources)
registerCache(resources)
const retry = { attempts: 5 }
const store = await resources.initializeResource<Store>({
  name: 'store',
  resourceType: 'postgres',
  config: { url: urls.postgres, table },
  retry,
})
const cache = await resources.initializeResource<Cache>({
  name: 'cache',
  resourceType: 'redis',
  config: { url: urls.redis },
  retry,
})

const { windows } = await readClip(sampleData.speech)
const listeners = new Listeners(runtime, store, cache, windows, table)
// While the application is not ready any more, but still answers: no window is lost.
lifecycle.addShutdownHandler(
  async () => {
    await listeners.stop()
    const versions = models.listModels().map(({ version, stats }) => [version, stats.requests])
    say('books', { ...listeners.books, rows: await store.count(), versions: Object.fromEntries(versions) })
  },
  { name: 'listeners', phase: 'readiness' },
)

const { status, isReady, checks } = await runtime.health()
say('health', { status, isReady, checks: Object.keys(checks) })
listeners.start(LISTENERS)

const statistics = setInterval(() => {
  const { totals } = runtime.requests.counts()
  say('statistics', { uptimeSeconds: lifecycle.uptimeSeconds, answered: listeners.books.answered, totals })
  if (listeners.books.answered >= WINDOWS_BEFORE_SWAP) void swapOnce()
}, STATISTICS_EVERY_MS)
lifecycle.addShutdownHandler(() => clearInterval(statistics), { name: 'statistics' })

let hasSwapped = false
async function swapOnce(): Promise<void> {
  if (hasSwapped) return
  hasSwapped = true
  const { from, to, drained } = await models.hotSwapModel({
    name: 'vad',
    newVersion: '6',
    source: modelPath('vad', '6'),
  })
  say('swapped', { from, to })
  await drained
  say('drained', { version: from })
}
