import { delimiter, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hostEnv } from '../support/run-child.js'

export const packageRoot: string = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Returns the environment of the shell of a user, without additions of the test runner and `npm run`. Its
 * `node` is the one that runs the tests.
 */
export function userEnv(): NodeJS.ProcessEnv {
  const added = /^(?:npm_.*|NODE_ENV|DEV|PROD|TEST|MODE)$/
  const env = Object.fromEntries(Object.entries(hostEnv()).filter(([name]) => !added.test(name)))
  return { ...env, PATH: [dirname(process.execPath), env.PATH].join(delimiter) }
}
