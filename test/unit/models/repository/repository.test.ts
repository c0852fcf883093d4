import { createHash } from 'node:crypto'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type TempRepository, tempRepository } from '../../../../models/synthetic/temp-repository.js'
import { findInRepository, scanRepository, verifyHash } from '../../../../src/models/repository/repository.js'

const MODEL = Uint8Array.of(1, 2, 3)
const SHA256 = createHash('sha256').update(MODEL).digest('hex')

async function labels(repository: TempRepository): Promise<string[]> {
  return (await scanRepository(repository.dir)).found.map(({ name, version }) => `${name}@${version}`)
}

describe('a scan of a model directory', () => {
  it('finds every version of every model', async () => {
    using repository = tempRepository({ vad: { '5': MODEL, '6': MODEL }, iris: { '1.0.0': MODEL } })
    expect(await labels(repository)).toEqual(['iris@1.0.0', 'vad@5', 'vad@6'])
    const [iris] = (await scanRepository(repository.dir)).found
    expect(iris).toEqual({
      name: 'iris',
      version: '1.0.0',
      source: repository.path('iris', '1.0.0'),
      sha256: undefined,
      config: {},
    })
  })

  it('finds nothing in an empty directory', async () => {
    using repository = tempRepository()
    expect(await labels(repository)).toEqual([])
  })

  it('ignores files, hidden folders and folders without a model', async () => {
    using repository = tempRepository({ vad: { '5': MODEL } })
    writeFileSync(join(repository.dir, 'README.md'), 'x')
    writeFileSync(join(repository.dir, 'vad', 'notes.txt'), 'x')
    mkdirSync(join(repository.dir, 'empty'))
    mkdirSync(join(repository.dir, 'vad', '6'))
    mkdirSync(join(repository.dir, 'vad', '7', 'model.onnx'), { recursive: true })
    mkdirSync(join(repository.dir, '.git', '1'), { recursive: true })
    writeFileSync(join(repository.dir, '.git', '1', 'model.onnx'), MODEL)
    mkdirSync(join(repository.dir, 'vad', '.tmp'))
    writeFileSync(join(repository.dir, 'vad', '.tmp', 'model.onnx'), MODEL)
    expect(await labels(repository)).toEqual(['vad@5'])
  })

  it('follows links to folders', async () => {
    using repository = tempRepository({ vad: { '5': MODEL } })
    symlinkSync(join(repository.dir, 'vad', '5'), join(repository.dir, 'vad', 'current'))
    expect(await labels(repository)).toEqual(['vad@5', 'vad@current'])
  })

  it('ignores a broken link and finds the rest', async () => {
    using repository = tempRepository({ vad: { '5': MODEL } })
    symlinkSync(join(repository.dir, 'gone'), join(repository.dir, 'vad', '6'))
    expect(await labels(repository)).toEqual(['vad@5'])
    symlinkSync(join(repository.dir, 'gone'), join(repository.dir, 'lost'))
    expect(await labels(repository)).toEqual(['vad@5'])
  })

  it('rejects for a directory that does not exist, and names it', async () => {
    using repository = tempRepository()
    const missing = join(repository.dir, 'missing')
    await expect(scanRepository(missing)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTIONS',
      message: expect.stringContaining(missing),
      cause: expect.objectContaining({ code: 'ENOENT' }),
    })
  })

  it('rejects for a file in place of the directory', async () => {
    using repository = tempRepository({ vad: { '5': MODEL } })
    await expect(scanRepository(repository.path('vad', '5'))).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTIONS',
    })
  })
})

describe('the manifests of a model directory', () => {
  it('configure a version, and version.json overrides model.json', async () => {
    using repository = tempRepository({
      vad: {
        '5': { model: MODEL, files: { 'version.json': { sha256: SHA256, config: { replicas: 3 } } } },
        '6': MODEL,
      },
    })
    repository.writeManifest('vad', { replicas: 2, maxQueue: 7 })
    const [five, six] = (await scanRepository(repository.dir)).found
    expect(five).toMatchObject({ sha256: SHA256, config: { replicas: 3, maxQueue: 7 } })
    expect(six).toMatchObject({ sha256: undefined, config: { replicas: 2, maxQueue: 7 } })
  })

  it.each([
    ['an unknown key', { replica: 2 }, 'has no option `replica`'],
    ['an invalid value', { replicas: 0 }, '`replicas` is 0'],
    ['an invalid nested value', { sample: { input: 3 } }, '`sample.input` is 3'],
    ['an array', [], 'an array of 0'],
    ['text that is not JSON', '{ "replicas": ', 'not JSON'],
    ['nothing', '', 'not JSON'],
  ])('are refused with %s, and other models are found', async (_, content, problem) => {
    using repository = tempRepository({ good: { '1': MODEL }, vad: { '5': MODEL } })
    repository.writeManifest('vad', content as object)
    const { found, problems } = await scanRepository(repository.dir)
    expect(found.map(({ name }) => name)).toEqual(['good'])
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject({ code: 'ERR_INVALID_MANIFEST', model: 'vad' })
    expect(problems[0]?.message).toContain(join(repository.dir, 'vad', 'model.json'))
    expect(problems[0]?.message).toContain(problem)
  })

  it.each([
    ['a malformed hash', { sha256: 'abc' }, '`sha256` is "abc": must be 64 hexadecimal digits'],
    ['settings beside `config`', { replicas: 2 }, 'has no option `replicas`'],
  ])('of one version are refused with %s', async (_, manifest, problem) => {
    using repository = tempRepository({
      vad: { '5': { model: MODEL, files: { 'version.json': manifest } } },
    })
    const refused = findInRepository(repository.dir, 'vad', '5')
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_INVALID_MANIFEST',
      model: 'vad',
      version: '5',
      message: expect.stringContaining(problem),
    })
  })

  it('may begin with a byte order mark, and contain the hash in upper case', async () => {
    const version = { sha256: SHA256.toUpperCase(), config: { replicas: 3 } }
    using repository = tempRepository({
      vad: { '5': { model: MODEL, files: { 'version.json': `\ufeff${JSON.stringify(version)}` } } },
    })
    const manifest = Buffer.from(`\ufeff${JSON.stringify({ maxQueue: 7 })}`, 'utf16le')
    writeFileSync(join(repository.dir, 'vad', 'model.json'), manifest)
    expect(await findInRepository(repository.dir, 'vad', '5')).toMatchObject({
      sha256: SHA256,
      config: { replicas: 3, maxQueue: 7 },
    })
  })

  it('that cannot be read are refused with the reason', async () => {
    using repository = tempRepository({ vad: { '5': MODEL } })
    mkdirSync(join(repository.dir, 'vad', 'model.json'))
    const { problems } = await scanRepository(repository.dir)
    expect(problems).toMatchObject([{ code: 'ERR_INVALID_MANIFEST', cause: { code: 'EISDIR' } }])
  })

  it('of a model without any model file are not read', async () => {
    using repository = tempRepository({ vad: { '5': MODEL } })
    repository.writeManifest('draft', { nonsense: true })
    expect(await labels(repository)).toEqual(['vad@5'])
  })
})

describe('one version of a model directory', () => {
  it('is found when it has a model file', async () => {
    using repository = tempRepository({ vad: { '5': MODEL } })
    expect(await findInRepository(repository.dir, 'vad', '5')).toMatchObject({ name: 'vad', version: '5' })
    expect(await findInRepository(repository.dir, 'vad', '6')).toBeUndefined()
    expect(await findInRepository(repository.dir, 'iris', '1')).toBeUndefined()
    expect(await findInRepository(join(repository.dir, 'missing'), 'vad', '5')).toBeUndefined()
  })
})

describe('the hash of a model file', () => {
  it('is accepted when it matches the manifest', async () => {
    using repository = tempRepository({ vad: { '5': MODEL } })
    const subject = { model: 'vad', version: '5' }
    await expect(verifyHash(repository.path('vad', '5'), SHA256, subject)).resolves.toBeUndefined()
  })

  it('is refused with both hashes when it does not match the manifest', async () => {
    using repository = tempRepository({ vad: { '5': MODEL } })
    const wrong = '0'.repeat(64)
    const refused = verifyHash(repository.path('vad', '5'), wrong, { model: 'vad', version: '5' })
    await expect(refused).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'vad', version: '5' })
    await expect(refused).rejects.toThrow(SHA256)
    await expect(refused).rejects.toThrow(wrong)
  })
})
