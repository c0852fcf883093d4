import { userInfo } from 'node:os'
import { describe, expect, it, vi } from 'vitest'
import { userCacheDir } from '../../../src/platform/user-cache-dir.js'

const os = await vi.hoisted(async () => ({ homedir: () => '', userInfo: () => ({ homedir: '' }) }))
vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  homedir: () => os.homedir(),
  userInfo: () => os.userInfo(),
}))

const fails = () => {
  throw Object.assign(new Error('uv_os_homedir returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' })
}

describe.runIf(process.platform === 'linux')('the cache folder of a user', () => {
  it.each([
    ['XDG_CACHE_HOME', { XDG_CACHE_HOME: '/cache', HOME: '/home/me' }, '/cache/tbcoin-engine'],
    [
      'HOME if XDG_CACHE_HOME is not absolute',
      { XDG_CACHE_HOME: 'x', HOME: '/home/me' },
      '/home/me/.cache/tbcoin-engine',
    ],
    [
      'HOME if XDG_CACHE_HOME is empty',
      { XDG_CACHE_HOME: '', HOME: '/home/me' },
      '/home/me/.cache/tbcoin-engine',
    ],
    ['the list of users if HOME is empty', { HOME: '' }, '/home/listed/.cache/tbcoin-engine'],
    ['the list of users if HOME is not set', {}, '/home/listed/.cache/tbcoin-engine'],
  ])('is derived from %s', (_, env, folder) => {
    Object.assign(os, { homedir: () => '', userInfo: () => ({ homedir: '/home/listed' }) })
    expect(userInfo().homedir).toBe('/home/listed')
    expect(userCacheDir(env)).toBe(folder)
  })

  it('is undefined for a user without a home', () => {
    Object.assign(os, { homedir: fails, userInfo: fails })
    expect(userCacheDir({})).toBeUndefined()
    expect(userCacheDir({ HOME: '' })).toBeUndefined()
    expect(userCacheDir({ HOME: 'relative' })).toBeUndefined()
    expect(userCacheDir({ HOME: '/home/me' })).toBe('/home/me/.cache/tbcoin-engine')
  })
})
