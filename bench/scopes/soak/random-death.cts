// Preloaded into every replica: ends the thread after a random time, as a crash of its JavaScript would.
import workers = require('node:worker_threads')

const meanLifeMs = Number(process.env.MEAN_LIFE_MS)
// Exponential, so that at no time a death is more likely than at another.
const lifeMs = -Math.log(1 - Math.random()) * meanLifeMs
if (!workers.isMainThread) setTimeout(() => process.exit(3), lifeMs).unref()
