import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { bigLoad, externalData, ifGraph, mlp } from '../../../../../models/synthetic/graphs.js'
import { constant, model, node, value } from '../../../../../models/synthetic/onnx-builder.js'
import { tempRepository } from '../../../../../models/synthetic/temp-repository.js'
import { functionKey } from '../../../../../workers/onnx-graph/file/graph.js'
import { ProtoCursor } from '../../../../../workers/onnx-graph/file/proto-cursor.js'
import { readGraph, readModel } from '../../../../../workers/onnx-graph/file/read-graph.js'

const repository = tempRepository()
afterAll(() => repository.dispose())

let files = 0

function fileOf(bytes: Uint8Array): string {
  const name = `m${files++}`
  repository.write(name, '1', bytes)
  return repository.path(name, '1')
}

/** Returns a protobuf field of at most 127 bytes. */
function field(number: number, ...bytes: readonly number[]): number[] {
  return [number * 8 + 2, bytes.length, ...bytes]
}

const text = (written: string): number[] => [...Buffer.from(written)]
const opset = field(8, 0x10, 17)

/** Returns a model whose graph has a single initializer with these fields. */
function tensorModel(...fields: readonly number[]): Uint8Array {
  return Uint8Array.from([...field(7, ...field(5, ...field(8, ...text('t')), ...fields)), ...opset])
}

function valuesOf(bytes: Uint8Array): readonly number[] | undefined {
  return readGraph(fileOf(bytes)).initializers.get('t')?.values
}

describe('the reader of graphs', () => {
  it('keeps nodes, inputs, outputs, initializers and the opset', () => {
    const graph = readGraph(fileOf(mlp()))
    expect([...graph.opsets]).toEqual([['', 17]])
    expect(graph.functions.size).toBe(0)
    expect(graph.inputs).toEqual([{ name: 'x', dims: ['batch', 4], type: 1 }])
    expect(graph.outputs).toEqual([{ name: 'probabilities', dims: ['batch', 3], type: 1 }])
    expect(graph.initializers.get('w1')).toMatchObject({ name: 'w1', dims: [4, 16], type: 1 })
    expect(graph.initializers.get('w1')?.values).toHaveLength(64)
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Gemm', 'Relu', 'Gemm', 'Softmax'])
    expect(graph.nodes[3]).toMatchObject({
      name: 'Softmax_3',
      domain: '',
      inputs: ['logits'],
      outputs: ['probabilities'],
      attributes: new Map([['axis', { int: 1 }]]),
    })
  })

  it('keeps attributes and the values of small tensors, negative ones too', () => {
    const ends = constant('ends', [2], BigInt64Array.of(-1n, 2n ** 63n - 1n))
    const graph = readGraph(
      fileOf(
        model({
          inputs: [value('x', 'float32'), value('free', 'float32', ['', 2])],
          outputs: [],
          initializers: [
            ends,
            constant('small', [1], Int32Array.of(-7)),
            constant('f', [1], Float32Array.of(1)),
          ],
          nodes: [
            node('Op', ['x', ''], ['y'], {
              axes: [-1, 300],
              mode: 'edge',
              ratio: { float: 2 },
              scales: { floats: [1, 0.5] },
              value: { tensor: ends },
            }),
          ],
        }),
      ),
    )
    expect(graph.inputs.map(({ dims }) => dims)).toEqual([undefined, [undefined, 2]])
    expect(graph.initializers.get('ends')?.values).toEqual([-1, 2 ** 63])
    expect(graph.initializers.get('small')?.values).toEqual([-7])
    expect(graph.initializers.get('f')?.values).toEqual([1])
    expect(graph.nodes[0]?.inputs).toEqual(['x', ''])
    expect([...(graph.nodes[0]?.attributes ?? [])]).toEqual([
      ['axes', { ints: [-1, 300] }],
      ['mode', { string: 'edge' }],
      ['ratio', {}],
      ['scales', { floats: [1, 0.5] }],
      ['value', { tensor: expect.objectContaining({ name: 'ends', values: [-1, 2 ** 63] }) }],
    ])
  })

  it('reads the bodies of control flow', () => {
    const branches = readGraph(fileOf(ifGraph())).nodes[0]?.attributes
    expect(branches?.get('then_branch')?.graphs?.[0]?.nodes[0]?.op).toBe('Add')
    expect(branches?.get('else_branch')?.graphs?.[0]?.outputs[0]?.name).toBe('Mul_y')
  })

  it('reads integers in every encoding', () => {
    const int64 = [0x10, 7]
    const minusOne = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]
    expect(valuesOf(tensorModel(0x08, 2, ...int64, ...field(7, 5, 0xac, 0x02)))).toEqual([5, 300])
    expect(valuesOf(tensorModel(...field(1, 2), ...int64, 0x38, 5, 0x38, ...minusOne))).toEqual([5, -1])
    expect(valuesOf(tensorModel(...field(9, 1, 0, 0, 0, 0, 0, 0, 0), ...int64))).toEqual([1])
    expect(valuesOf(tensorModel(0x10, 6, ...field(5, ...minusOne)))).toEqual([-1])
  })

  it('treats values in an external file as unknown', () => {
    const { model: bytes } = externalData()
    expect(readGraph(fileOf(bytes)).initializers.get('w')).toMatchObject({ dims: [4], values: undefined })
  })

  it('treats ai.onnx as the default domain', () => {
    const graph = field(7, ...field(1, ...field(4, ...text('Op')), ...field(7, ...text('ai.onnx'))))
    const opsets = field(8, ...field(1, ...text('ai.onnx')), 0x10, 18)
    const read = readGraph(fileOf(Uint8Array.from([...graph, ...opsets])))
    expect(read.opsets.get('')).toBe(18)
    expect(read.nodes[0]?.domain).toBe('')
  })

  it('reads the functions that a model defines, with defaults, overloads and names of attributes', () => {
    const reads = field(5, ...field(1, ...text('axis')), ...[0xaa, 1, 5, ...text('along')])
    const softmax = field(
      7,
      ...field(1, ...text('v')),
      ...field(2, ...text('w')),
      ...field(4, ...text('Softmax')),
      ...reads,
    )
    const byDefault = field(11, ...field(1, ...text('along')), 0x18, 2, 0xa0, 1, 2)
    const names = [...field(1, ...text('Own')), ...field(4, ...text('v')), ...field(5, ...text('w'))]
    const of = [...field(10, ...text('mine')), ...field(13, ...text('second')), ...field(9, 0x10, 18)]
    const body = [...names, ...softmax, ...byDefault, ...of]
    const call = field(
      1,
      ...field(4, ...text('Own')),
      ...field(7, ...text('mine')),
      ...field(8, ...text('second')),
    )
    const read = readGraph(
      fileOf(Uint8Array.from([...field(7, ...call), ...opset, 0xca, 1, body.length, ...body])),
    )
    const [called] = read.nodes
    const own = read.functions.get(functionKey('mine', 'Own', called?.overload ?? ''))
    expect(own?.opsets.get('')).toBe(18)
    expect([...(own?.defaults ?? [])]).toEqual([['along', { int: 2 }]])
    expect(own?.body).toMatchObject({ inputs: [{ name: 'v' }], outputs: [{ name: 'w' }] })
    expect(own?.body.nodes[0]).toMatchObject({
      op: 'Softmax',
      attributes: new Map([['axis', { ref: 'along' }]]),
    })
  })

  it('skips weights', () => {
    const path = fileOf(bigLoad(64))
    using cursor = new ProtoCursor(path)
    expect(readModel(cursor).nodes).toHaveLength(16)
    expect(cursor.size).toBeGreaterThan(64e6)
    expect(cursor.bytesRead).toBeLessThan(0.01 * cursor.size)
  })

  it.each([
    ['vad', '4', 2],
    ['vad', '5', 5],
    ['ocr-rec', '4', 765],
    ['detypify', '0.3.0', 99],
  ])('reads the graph of %s %s', (name, version, nodes) => {
    const folder = fileURLToPath(new URL('../../../../../models/repository/', import.meta.url))
    expect(readGraph(`${folder}${name}/${version}/model.onnx`).nodes).toHaveLength(nodes)
  })
})

describe('the reader of graphs, for a file that is not a model,', () => {
  it('throws wherever a model is cut off', () => {
    const whole = model({
      inputs: [value('x', 'float32', ['batch', 4])],
      outputs: [value('y', 'float32', ['batch', 4])],
      initializers: [constant('c', [1], BigInt64Array.of(1n))],
      nodes: [node('Add', ['x', 'c'], ['y'])],
    })
    const path = fileOf(whole)
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length))
      expect(() => readGraph(path), `${length} bytes`).toThrow(/not a valid ONNX file/)
    }
    expect(readGraph(fileOf(whole)).nodes).toHaveLength(1)
  })

  it.each([
    ['text', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n')],
    ['zeros', new Uint8Array(100_000)],
    ['ones', new Uint8Array(100_000).fill(255)],
    ['a group', Uint8Array.of(0x0b, 0x0c)],
    ['a length of minus one', Uint8Array.of(0x3a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1)],
    ['a graph that is a number', Uint8Array.of(0x38, 1, ...opset)],
    ['a node without an operator', Uint8Array.from([...field(7, ...field(1)), ...opset])],
    ['no graph', Uint8Array.from(opset)],
    ['no opset', Uint8Array.from(field(7))],
    ['a tensor that lacks data', tensorModel(0x10, 7, 0x08, 3, ...field(7, 1, 2))],
  ])('throws for %s', (_, bytes) => {
    expect(() => readGraph(fileOf(bytes))).toThrow(/not a valid ONNX file/)
  })

  it('throws for random bytes after a model, for a folder and for an empty file', () => {
    const path = fileOf(mlp())
    appendFileSync(path, Uint8Array.of(7, 7, 7))
    expect(readFileSync(path).length).toBeGreaterThan(3)
    expect(() => readGraph(path)).toThrow(/not a valid ONNX file/)
    expect(() => readGraph(repository.dir)).toThrow(Error)
    expect(() => readGraph(`${path}.gone`)).toThrow(/ENOENT/)
  })
})
