// CommonJS, like onnxruntime-node itself: to import() it costs a thread 8 ms more than to require() it.
import ort = require('onnxruntime-node')

export = ort
