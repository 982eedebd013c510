// Loads a configuration with the modules of its project. One that is missing
// is replaced by a stub that answers everything, and named.

import fs from 'node:fs'
import module from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { dotenv, loadEnv } from './environment.mjs'

const SECTIONS = ['devServer', 'server', 'rewrites', 'proxy']

export async function load(file, kind, required, seen) {
  const compiler = findCompiler(required)
  replaceMissing(required, seen)
  if (module.register) module.register('./hooks.mjs', import.meta.url, { data: compiler })
  let failure
  if (kind === 'vite') {
    try {
      return await byVite(file, required)
    } catch (error) {
      failure = error
    }
  }
  if (/\.[cm]?ts$/.test(file) && !compiler.name) {
    if (failure && failure.code !== 'MODULE_NOT_FOUND') throw failure
    throw Object.assign(new Error('no TypeScript here'), { code: 'NO_TYPESCRIPT' })
  }
  const namespace = await import(pathToFileURL(file).href)
  const exported = namespace.default ?? namespace
  return exported?.__esModule ? exported.default ?? exported : exported
}

// Vite knows best what its configuration means.
async function byVite(file, required) {
  const { loadConfigFromFile } = await import(
    pathToFileURL(required.resolve('vite')).href.replace(/index\.cjs$/, 'dist/node/index.js')
  )
  const mode = { mode: 'development', command: 'serve' }
  const found = await loadConfigFromFile(mode, file, path.dirname(file), 'silent')
  if (!found) throw new Error('vite found no configuration in it')
  return found.config
}

// What there is to turn TypeScript into JavaScript.
function findCompiler(required) {
  for (const name of ['typescript', 'esbuild']) {
    try {
      const { transpileModule, transformSync } = required(name)
      if (transpileModule || transformSync) return { name, path: required.resolve(name) }
    } catch {}
  }
  return { name: module.stripTypeScriptTypes && 'node' }
}

// A package asks for much that it can do without.
const isOurs = (file) => !/[\\/]node_modules[\\/](?!\.vite-temp)/.test(file)

const isMissing = (error, request) =>
  ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED']
    .includes(error?.code) && !/^[./]|^[a-z]:[\\/]/i.test(request)

// CommonJS: whatever `require` does not find.
function replaceMissing(required, seen) {
  const load = module._load
  globalThis.unbufferedStub = (name) => known(name, required, seen)
  module._load = function (request, ...rest) {
    if (request === 'http-proxy-middleware' && isOurs(rest[0]?.filename ?? '')) return known(request, required, seen)
    try {
      return load.call(this, request, ...rest)
    } catch (error) {
      const ours = isOurs(rest[0]?.filename ?? '')
      if (!ours || !isMissing(error, request) || !error.message.includes(request)) throw error
      return known(request, required, seen)
    }
  }
}

function known(name, required, seen) {
  if (name === 'http-proxy-middleware') return middleware(required, seen)
  seen.missing.add(name)
  const same = (given) => given
  if (name === 'vite' || name === 'vitest/config') {
    return stub(name, { defineConfig: same, loadEnv, mergeConfig: merge })
  }
  if (name === '@vue/cli-service') return stub(name, { defineConfig: same })
  if (name === 'dotenv') return dotenv()
  if (name === 'dotenv/config') return dotenv().config()
  if (name === 'webpack-merge') return Object.assign(merge, { merge, default: merge })
  return stub(name)
}

// Answers every question with itself, but for what is `known` of it. Called with a
// configuration, or with a function that may make one, it is taken for one of the
// wrappers that hand it back.
export function stub(name, known = {}) {
  const itself = new Proxy(Object.assign(function () {}, { stub: name }), {
    get(target, key) {
      if (key === 'then' || key === '__esModule') return undefined
      if (key === Symbol.toPrimitive) return () => ''
      if (key === Symbol.iterator) return function* () {}
      if (Object.hasOwn(known, key)) return known[key]
      return key === 'stub' ? name : itself
    },
    has: () => true,
    apply: (_, __, given) =>
      given.find((each) => each && SECTIONS.some((key) => key in Object(each))) ??
      (given.length === 1 && typeof given[0] === 'function' ? handedBack(given[0]) : itself),
    construct: () => itself,
  })
  const handedBack = (made) =>
    new Proxy(made, {
      get: (target, key) => (key in target || key === 'stub' ? target[key] : itself[key]),
    })
  return itself
}

function middleware(required, seen) {
  seen.version = versionFrom(required.resolve.paths('http-proxy-middleware'))
  const creating = (legacy) => (first, second) => {
    const bare = typeof first === 'object' && !Array.isArray(first) && !second
    const options = { ...(bare ? first : second) }
    if (typeof first === 'string' && !second) options.target = first
    else if (!bare) options.pathFilter = first
    return Object.assign(() => {}, { proxy: { options, legacy } })
  }
  const create = creating(false)
  const names = {
    createProxyMiddleware: create,
    default: create,
    legacyCreateProxyMiddleware: creating(true),
  }
  return new Proxy(create, {
    get: (_, key) =>
      names[key] ?? (key === '__esModule' ? undefined : stub('http-proxy-middleware')),
  })
}

const json = (...parts) => JSON.parse(fs.readFileSync(path.join(...parts), 'utf8'))

// What is installed; else the lowest that package.json allows.
function versionFrom(folders) {
  const name = 'http-proxy-middleware'
  for (const folder of folders ?? []) {
    try {
      return json(folder, name, 'package.json').version
    } catch {}
  }
  try {
    const { dependencies, devDependencies } = json('package.json')
    const range = { ...devDependencies, ...dependencies }[name] ?? ''
    return /\d+(\.\d+)*/.exec(range)?.[0] ?? null
  } catch {
    return null
  }
}

function merge(...given) {
  const all = given.flat()
  return all.reduce((one, other) => {
    const both = { ...one }
    for (const [key, value] of Object.entries(other ?? {})) {
      const tables = [one?.[key], value].every((v) => v && Object(v) === v && !Array.isArray(v) && typeof v !== 'function')
      both[key] = tables ? merge(one[key], value) : value
    }
    return both
  }, {})
}
