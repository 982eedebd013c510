// Evaluates the configuration of a dev server in the project's own node, and
// writes what concerns its proxy to a file, as JSON. Functions arrive as
// markers with their source; a rewriting function is also tried out.
//
//   node evaluate.mjs KIND CONFIG RESULT [PIPE]
//
// PIPE is open for reading as long as somebody waits for the result.

import child from 'node:child_process'
import fs from 'node:fs'
import module from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { loadBefore, sources, watchFiles } from './environment.mjs'
import { load } from './modules.mjs'

const MARK = '$unbuffered'
const DEPTH = 12
const [kind, file, result, pipe] = process.argv.slice(2)

// Nobody waits any more: end the whole group, also when the configuration runs
// in a circle. So it is watched by a thread of its own.
const WATCH = `
const { workerData: fd } = require('node:worker_threads')
const pipe = new (require('node:net').Socket)({ fd, readable: true, writable: false })
pipe.on('close', () => process.kill(0, 'SIGKILL')).on('error', () => {}).resume()
`
if (pipe) new Worker(WATCH, { eval: true, workerData: Number(pipe) }).unref()

// A process that a configuration starts stays in our group, to end with us.
const start = child.ChildProcess.prototype.spawn
child.ChildProcess.prototype.spawn = function (options) {
  return start.call(this, { ...options, detached: false })
}

const plain = (value) => {
  const parent = Object.getPrototypeOf(value)
  return parent === null || Object.getPrototypeOf(parent) === null
}

function encode(value, depth = 0, above = []) {
  const mark = (what, more) => ({ [MARK]: what, ...more })
  if (typeof value === 'function') {
    if (value.stub) return mark('stub', { name: value.stub })
    return mark('function', { source: String(value), tried: value.tried })
  }
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return mark('number')
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof RegExp) {
    return mark('regexp', { source: value.source, flags: value.flags })
  }
  if (value instanceof URL) return value.href
  if (depth > DEPTH || above.includes(value)) return mark('too deep')
  const inside = (each) => encode(each, depth + 1, [...above, value])
  if (Array.isArray(value)) return value.map(inside)
  if (!plain(value)) return mark('instance', { name: value.constructor?.name })
  // JSON would leave out what is undefined: an entry whose variable is not set.
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, inside(v) ?? null]))
}

// What a rewriting function makes of some paths below a prefix.
async function tryOut(options, prefixes) {
  for (const key of ['rewrite', 'pathRewrite']) {
    const rewrite = options?.[key]
    if (typeof rewrite !== 'function' || rewrite.stub) continue
    const tried = {}
    for (const prefix of prefixes) {
      if (typeof prefix !== 'string') continue
      const bare = prefix.replace(/[/*]+$/, '')
      tried[prefix] = {}
      for (const rest of ['', '/one/two?three=4', '/five', `${bare}/six`]) {
        const answer = await Promise.resolve()
          .then(() => rewrite(bare + rest, { url: bare + rest, headers: {} }))
          .catch(() => null)
        tried[prefix][rest] = typeof answer === 'string' ? answer : null
      }
    }
    // A copy: the function may stand at several prefixes.
    options[key] = Object.assign((...all) => rewrite(...all), { tried })
    options[key].toString = () => String(rewrite)
  }
}

async function tryAll(proxy) {
  if (typeof proxy !== 'object' || proxy === null) return
  if (Array.isArray(proxy)) await callEntries(proxy)
  for (const [key, options] of Object.entries(proxy)) {
    const context = options?.context ?? options?.path ?? options?.pathFilter ?? key
    await tryOut(options, [context].flat())
  }
}

// webpack-dev-server calls an entry that is a function when it starts.
async function callEntries(proxy) {
  for (const [number, entry] of proxy.entries()) {
    if (typeof entry !== 'function' || entry.stub) continue
    try {
      const found = await entry()
      if (found?.target) proxy[number] = { ...found, $called: true }
    } catch {} // it wants a request
  }
}

const pick = (from, keys) =>
  Object.fromEntries(keys.filter((key) => key in from).map((key) => [key, from[key]]))

async function called(value, ...given) {
  return await (typeof value === 'function' && !value.stub ? value(...given) : value)
}

const readers = {
  async webpack(exported) {
    const mode = { mode: 'development', env: { WEBPACK_SERVE: true } }
    let all = [exported].flat()
    all = await Promise.all(all.map((one) => called(one, mode.env, mode)))
    const found = all.flat().find((one) => one?.devServer) ?? {}
    await tryAll(found.devServer?.proxy)
    return { server: server(found.devServer) }
  },
  async vue(exported) {
    const found = await called(exported)
    await tryAll(found?.devServer?.proxy)
    const port = process.env.PORT ?? found?.devServer?.port
    return { server: server({ ...found?.devServer, port }) }
  },
  async vite(exported) {
    const found = await called(exported, {
      mode: 'development', command: 'serve', isSsrBuild: false, isPreview: false,
    })
    await tryAll(found?.server?.proxy)
    return { server: server(found?.server), base: found?.base }
  },
  async angular(exported) {
    const found = await called(exported)
    await tryAll(found)
    return { server: { proxy: found } }
  },
  async next(exported) {
    const found = (await called(exported, 'phase-development-server', {
      defaultConfig: {},
    })) ?? {}
    const rewrites = await called(found.rewrites)
    return { rewrites, ...pick(found, ['basePath', 'compress', 'trailingSlash']) }
  },
  async setup(exported, seen) {
    const uses = []
    const app = new Proxy(() => {}, {
      get: (_, method) => method !== 'then' && ((...given) => {
        const mount = given.length && !isHandler(given[0]) ? given.shift() : '/'
        uses.push(...given.flat().map((handler) => ({ method, mount, handler })))
        return app
      }),
    })
    await called(exported, app)
    const found = []
    for (const { method, mount, handler } of uses) {
      const proxy = handler?.proxy
      const strips = !proxy?.legacy && parseInt(seen.version) >= 3 && mount !== '/'
      const seenFrom = strips ? '' : proxy?.options.pathFilter ?? mount
      if (proxy) await tryOut(proxy.options, [seenFrom].flat())
      found.push({ method, mount, ...(proxy ?? { handler }) })
    }
    return { uses: found, version: seen.version, server: { port: process.env.PORT } }
  },
}
const isHandler = (value) => typeof value === 'function'
const server = (found) =>
  found &&
  pick(found, [
    'proxy', 'compress', 'port', 'host', 'hmr', 'webSocketServer', 'client',
    'https', 'server', 'sockPath',
  ])

const seen = { missing: new Set(), version: null }
let written = false

function write(answer) {
  if (written) return
  written = true
  const more = { missing: [...seen.missing], sources: sources(kind) }
  fs.writeFileSync(result, JSON.stringify({ ...answer, ...more }))
  process.exit(0)
}

// An import of a stand-in that lacks a name fails before the stand-in is asked.
const STAND_IN = /unbuffered-stub:([^?'"]*)(?:\?[^'"]*)?/g

const failed = (error) => {
  const told = String(error?.message ?? error).split('\n')[0]
  for (const [, name] of told.matchAll(STAND_IN)) seen.missing.add(name)
  write({ error: told.replace(STAND_IN, '$1'), code: String(error?.code ?? '') })
}
process.on('uncaughtException', failed)
process.on('unhandledRejection', failed)
process.on('exit', (status) => {
  const waited = 'it did not finish: does it wait for a promise that never settles?'
  failed(status ? `it ended the node process (${status})` : waited)
})

try {
  loadBefore(kind, process.cwd())
  watchFiles()
  const required = module.createRequire(pathToFileURL(path.resolve(file)))
  const exported = await load(path.resolve(file), kind, required, seen)
  write({ found: encode(await readers[kind](exported, seen)) })
} catch (error) {
  failed(error)
}
