// Imported well; throws where nobody can catch it, before the first task is over.
setImmediate(() => {
  throw new Error('thrown outside of every task')
})

export default () => new Promise(() => undefined)
