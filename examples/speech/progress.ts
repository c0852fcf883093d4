import type { Traffic } from './traffic.js'

const BAR_LENGTH = 30

/** Shows on stderr how far the run is; returns how to stop that. */
export function showProgress(traffic: Traffic, total: number): () => void {
  const { isTTY } = process.stderr
  const startedAt = performance.now()
  const timer = setInterval(
    () => process.stderr.write(isTTY ? `\r\x1b[2K${bar()}` : `${line()}\n`),
    isTTY ? 100 : 3_000,
  )
  timer.unref()
  return () => {
    clearInterval(timer)
    if (isTTY) process.stderr.write('\r\x1b[2K')
  }

  function bar(): string {
    const done = Math.min(BAR_LENGTH, Math.round((traffic.settled / total) * BAR_LENGTH))
    return `${'█'.repeat(done)}${'░'.repeat(BAR_LENGTH - done)} ${line()}`
  }

  function line(): string {
    const percent = Math.min(100, Math.floor((traffic.settled / total) * 100))
    const rate = traffic.settled / ((performance.now() - startedAt) / 1_000)
    return `${percent} %  ${Math.round(rate)} answers/s  version ${traffic.active} is active`
  }
}
