import { expect, it } from 'vitest'
import { sharedProject } from '../support/packaging-harness.js'

const main = `
import 'reflect-metadata'
import { Controller, Get, Injectable, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { createRuntime, type Runtime } from 'tbcoin-engine'

@Injectable()
class Models implements OnModuleInit, OnApplicationShutdown {
  runtime!: Runtime
  async onModuleInit() {
    this.runtime = await createRuntime({ logLevel: 'warn', models: [{ name: 'mlp', version: '1', source: 'model.onnx' }] })
  }
  async onApplicationShutdown() {
    await this.runtime.close()
    console.log('closed')
  }
}

@Controller()
class Predictions {
  constructor(private readonly models: Models) {}
  @Get()
  async predict() {
    const { probabilities } = await this.models.runtime.predict('mlp', { x: [[1, 2, 3, 4]] })
    return probabilities!.data.length
  }
}

@Module({ controllers: [Predictions], providers: [Models] })
class App {}

async function main() {
  const app = await NestFactory.create(App, { logger: false })
  app.enableShutdownHooks()
  await app.listen(0, '127.0.0.1')
  const answer = await fetch(await app.getUrl())
  console.log(answer.status, await answer.text())
  process.kill(process.pid, 'SIGTERM')
}
void main()
`
const nest = ['common', 'core', 'platform-express'].map((name) => `@nestjs/${name}@12`)
const project = await sharedProject([...nest, 'reflect-metadata', 'rxjs', 'typescript@5.9', '@types/node@20'])

it.each([
  ['commonjs', 'commonjs', 'node10'],
  ['module', 'nodenext', 'nodenext'],
])(
  'a NestJS application of type %s serves, and closes its runtime at SIGTERM',
  async (type, module, resolution) => {
    project.write({ 'main.ts': main, 'package.json': JSON.stringify({ type }) })
    const options = `--strict --skipLibCheck --target es2022 --module ${module} --moduleResolution ${resolution}`
    const decorators = '--experimentalDecorators --emitDecoratorMetadata --esModuleInterop'
    await project.shell(`npx tsc ${options} ${decorators} --outDir out main.ts`)
    // Nest sends itself the signal again when everything is closed.
    const { stdout } = await project.onEveryNode('node out/main.js; echo $?')
    expect(stdout).toBe('200 3\nclosed\n143\n')
  },
)
