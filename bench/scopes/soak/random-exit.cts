// Preloaded into every replica: exits the thread after a random time, as a crash of its JavaScript would.
import workers = require('node:worker_threads')

const meanLifeMs = Number(process.env.MEAN_LIFE_MS)
// The distribution is exponential, so that an exit is equally likely at any time.
const lifeMs = -Math.log(1 - Math.random()) * meanLifeMs
if (!workers.isMainThread) setTimeout(() => process.exit(3), lifeMs).unref()
