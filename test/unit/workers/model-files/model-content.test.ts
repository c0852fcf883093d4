import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import * as graphs from '../../../../models/synthetic/graphs.js'
import { type TempFolder, tempFolder } from '../../../../models/synthetic/temp-folder.js'
import { checkFiles, identify, settledFiles } from '../../../../workers/model-files/model-content.js'
import { loadablePath } from '../../../../workers/model-files/model-paths.js'

const owner = { model: 'm', version: '1' }
const { model, data } = graphs.externalData()

function modelIn(folder: TempFolder): string {
  writeFileSync(join(folder.path, 'weights.bin'), data)
  writeFileSync(join(folder.path, 'model.onnx'), model)
  return join(folder.path, 'model.onnx')
}

function changeOf(check: () => unknown): Error & { code?: string } {
  try {
    check()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing has changed')
}

it('the content of a model includes its file and the data files that it names', () => {
  using folder = tempFolder()
  const source = modelIn(folder)
  const files = identify(source)
  expect(files.map(({ name }) => name)).toEqual(['', 'weights.bin'])
  expect(checkFiles(source, files, owner)).toEqual(files)
})

it.each(['model.onnx', 'weights.bin'])(
  'a new modification time of %s does not change the content of a model, and a new byte does',
  (name) => {
    using folder = tempFolder()
    const source = modelIn(folder)
    const files = identify(source)
    const path = join(folder.path, name)
    utimesSync(path, 1, 1)
    const touched = checkFiles(source, files, owner)
    expect(touched).not.toEqual(files)
    expect(touched.map(({ sha256 }) => sha256)).toEqual(files.map(({ sha256 }) => sha256))
    const bytes = Buffer.from(name === 'model.onnx' ? model : data)
    writeFileSync(path, bytes.fill(1, 3, 4))
    utimesSync(path, 1, 1)
    const error = changeOf(() => checkFiles(source, touched, owner))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', ...owner })
    expect(error.message).toContain(`${path} has changed since m@1 was first read`)
    rmSync(path)
    expect(changeOf(() => checkFiles(source, touched, owner)).message).toContain('cannot be read any more')
  },
)

it('a file whose content was not read counts as changed when its stamp differs', () => {
  using folder = tempFolder()
  const source = modelIn(folder)
  const files = identify(source).map((file) => ({ ...file, sha256: undefined }))
  expect(checkFiles(source, files, owner)).toEqual(files)
  utimesSync(source, 1, 1)
  expect(changeOf(() => checkFiles(source, files, owner)).message).toContain('has changed')
})

it('a stamp is not trusted while a change could leave it the same', () => {
  using folder = tempFolder()
  const source = modelIn(folder)
  const files = identify(source)
  const future = `1:1:1:1:${(Date.now() + 60_000) * 1_000_000}1`
  expect(settledFiles([{ name: '', sha256: 'known', stamp: future }])).toMatchObject([{ stamp: '' }])
  expect(settledFiles([{ name: '', sha256: undefined, stamp: future }])).toMatchObject([{ stamp: future }])
  expect(
    checkFiles(
      source,
      files.map((file) => ({ ...file, stamp: '' })),
      owner,
    ),
  ).toEqual(files)
})

it('the data files of a linked model are found beside the link or beside the file', () => {
  using folder = tempFolder()
  const source = modelIn(folder)
  const [links, blobs] = [join(folder.path, 'links'), join(folder.path, 'blobs')]
  for (const path of [links, blobs]) mkdirSync(path)
  const link = join(links, 'model.onnx')
  symlinkSync(source, link)
  expect(loadablePath(link)).toBe(source)
  expect(identify(link).map(({ sha256 }) => sha256)).toEqual(identify(source).map(({ sha256 }) => sha256))
  // The cache of Hugging Face names files by their content in this way.
  renameSync(join(folder.path, 'weights.bin'), join(blobs, 'b'))
  symlinkSync(join(blobs, 'b'), join(links, 'weights.bin'))
  expect(loadablePath(link)).toBe(link)
  expect(identify(link)).toHaveLength(2)
})

it('the content of a linked model stays the same when the link is replaced by a copy', () => {
  using folder = tempFolder()
  modelIn(folder)
  const turn = (target: string): void => {
    symlinkSync(target, join(folder.path, 'next'))
    renameSync(join(folder.path, 'next'), join(folder.path, 'current'))
  }
  for (const release of ['1', '2', '3']) {
    mkdirSync(join(folder.path, release))
    writeFileSync(join(folder.path, release, 'weights.bin'), data)
    writeFileSync(join(folder.path, release, 'model.onnx'), release === '3' ? graphs.mlp() : model)
  }
  turn('1')
  const source = join(folder.path, 'link.onnx')
  symlinkSync('current/model.onnx', source)
  const files = identify(source)
  expect(files.map(({ name }) => name)).toEqual(['', 'weights.bin'])
  turn('2')
  rmSync(join(folder.path, '1'), { recursive: true })
  checkFiles(source, files, owner)
  turn('3')
  expect(changeOf(() => checkFiles(source, files, owner)).message).toContain('has changed')
})

it('files that a model names outside of its folder are not read', () => {
  using folder = tempFolder()
  for (const location of ['/etc/passwd', '../secret.bin', 'sub/../../secret.bin']) {
    const source = join(folder.path, 'model.onnx')
    writeFileSync(source, graphs.externalData(location).model)
    expect(identify(source).map(({ name }) => name)).toEqual([''])
  }
})
