import { delimiter, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hostEnv } from '../support/run-child.js'

export const packageRoot: string = fileURLToPath(new URL('../../', import.meta.url))

/** The environment of a user's shell: without what the test runner and `npm run` add. Its `node` is this one. */
export function userEnv(): NodeJS.ProcessEnv {
  const added = /^(?:npm_.*|NODE_ENV|DEV|PROD|TEST|MODE)$/
  const env = Object.fromEntries(Object.entries(hostEnv()).filter(([name]) => !added.test(name)))
  return { ...env, PATH: [dirname(process.execPath), env.PATH].join(delimiter) }
}
