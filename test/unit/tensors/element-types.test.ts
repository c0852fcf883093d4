import { describe, expect, it } from 'vitest'
import { newElements } from '../../../src/tensors/coerce-elements.js'
import { ELEMENT_TYPES } from '../../../src/tensors/element-types.js'
import { TENSOR_TYPES } from '../../../src/tensors/tensor.js'

describe('the table of element types', () => {
  it.each(TENSOR_TYPES)('has the class and the size of %s', (type) => {
    const elements = newElements(type, 3)
    expect(elements.constructor.name).toBe(ELEMENT_TYPES[type].arrayName)
    expect(elements).toHaveLength(3)
    if (type === 'string') return
    expect((elements as Uint8Array).BYTES_PER_ELEMENT).toBe(ELEMENT_TYPES[type].bytesPerElement)
  })
})
