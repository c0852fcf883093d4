// The import succeeds; the error is thrown where no code can catch it, before the first task is over.
setImmediate(() => {
  throw new Error('thrown outside of every task')
})

export default () => new Promise(() => undefined)
