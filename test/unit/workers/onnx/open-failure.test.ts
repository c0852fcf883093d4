import { expect, it } from 'vitest'
import { type Machine, openFailureReason } from '../../../../workers/onnx/open-failure.js'

const linux: Machine = { platform: 'linux', arch: 'x64', isMusl: () => false }
const alpine: Machine = { ...linux, isMusl: () => true }
const intelMac: Machine = { ...linux, platform: 'darwin' }
const riscv: Machine = { ...linux, arch: 'riscv64' }

const failure = (code: string, message: string): Error => Object.assign(new Error(message), { code })
const noPackage = failure('MODULE_NOT_FOUND', "Cannot find module 'onnxruntime-node'")
const noPackageInModule = failure('ERR_MODULE_NOT_FOUND', "Cannot find package 'onnxruntime-node'")
const noBinary = failure(
  'MODULE_NOT_FOUND',
  "Cannot find module '../bin/napi-v6/darwin/x64/onnxruntime_binding.node'",
)
/** What Node 22 for musl says. */
const wrongLibc = failure(
  'ERR_DLOPEN_FAILED',
  'Error loading shared library libstdc++.so.6: No such file or directory (needed by onnxruntime_binding.node)',
)
const oldLibc = failure('ERR_DLOPEN_FAILED', "libm.so.6: version `GLIBC_2.27' not found")
const forgotten = failure('ERR_DLOPEN_FAILED', "Module did not self-register: 'onnxruntime_binding.node'")

it.each<[string, Error, Machine, RegExp]>([
  [
    'musl',
    wrongLibc,
    alpine,
    /no binary for linux-x64 with musl.*; use an image with glibc, such as node:20-slim$/,
  ],
  ['musl without the package, which would not help', noPackage, alpine, /musl.*node:20-slim$/],
  [
    'macOS on x64',
    noBinary,
    intelMac,
    /no binary for darwin-x64, only for darwin-arm64, .*; use one of these.*Node for arm64$/,
  ],
  [
    'another processor',
    noBinary,
    riscv,
    /no binary for linux-riscv64, only for .*linux-x64, .*; use one of these$/,
  ],
  [
    'a binary that was not copied',
    noBinary,
    linux,
    /for linux-x64 is missing; install the package again, or have the tool .* copy/,
  ],
  ['no package', noPackage, linux, /cannot be found; install it beside tbcoin-engine/],
  [
    'no package, told by import',
    noPackageInModule,
    intelMac,
    /cannot be found; install it beside tbcoin-engine/,
  ],
  [
    'a system that is too old',
    oldLibc,
    linux,
    /cannot be opened: libm\.so\.6: version `GLIBC_2\.27' not found; check/,
  ],
  [
    'version 1.24 for the second time',
    forgotten,
    linux,
    /a thread that had it open has ended.*use 1\.25 or later$/,
  ],
])('onnxruntime-node that cannot be opened is explained: %s', (_, cause, machine, told) => {
  expect(openFailureReason(cause, machine)).toMatch(told)
})
