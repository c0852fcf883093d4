/** The promise's value, or undefined once `timeoutMs` have passed; `isIdle` waits without keeping the process alive. */
export async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  isIdle = false,
): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, undefined)
    if (isIdle) timer.unref()
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}
