// Hooks for ES modules: stubs for what is missing, TypeScript once compiled,
// and the names that a module has in CommonJS, which dev servers provide too.

import fs from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const STUB = 'unbuffered-stub:'
const OWN = 'http-proxy-middleware'
const TYPESCRIPT = /^file:.*\.[cm]?ts$/
let compiler = {}

export function initialize(data) {
  compiler = data
}

function compiled(text) {
  const required = module.createRequire(import.meta.url)
  if (compiler.name === 'typescript') {
    const compilerOptions = { module: 'ESNext', target: 'ES2022' }
    return required(compiler.path).transpileModule(text, { compilerOptions }).outputText
  }
  if (compiler.name === 'esbuild') {
    const options = { loader: 'ts', format: 'esm' }
    return required(compiler.path).transformSync(text, options).code
  }
  return module.stripTypeScriptTypes(text, { mode: 'transform' })
}

export async function resolve(specifier, context, next) {
  const bare = !/^([./]|file:|node:|data:|[a-z]:[\\/])/i.test(specifier)
  const ours = !/\/node_modules\/(?!\.vite-temp)/.test(context.parentURL ?? '')
  if (!ours) return await next(specifier, context)
  if (specifier === OWN) return standIn(specifier, context.parentURL)
  try {
    return await next(specifier, context)
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' && error.code !== 'ERR_UNSUPPORTED_DIR_IMPORT') {
      throw error
    }
    if (bare) return standIn(specifier, context.parentURL)
    for (const ending of ['.js', '.ts', '.mjs', '/index.js']) {
      try {
        return await next(specifier + ending, context)
      } catch {}
    }
    throw error
  }
}

function standIn(name, parent) {
  const names = importedNames(name, read(parent))
  return { url: `${STUB}${name}?${names.join(',')}`, format: 'module', shortCircuit: true }
}

const read = (url) => {
  try {
    return fs.readFileSync(fileURLToPath(url), 'utf8')
  } catch {
    return ''
  }
}

// A module says by name what it exports; only its importer knows which: by name, or
// as a member of the whole (`import * as it`, `const it = await import()`).
function importedNames(name, text) {
  const found = new Set()
  const quoted = name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
  const clause = new RegExp(
    `(?:import|export)\\s+(?!type\\b)([^'";]*?)\\s*from\\s*['"]${quoted}['"]`, 'g',
  )
  for (const [, names] of text.matchAll(clause)) {
    const inside = /\{([^}]*)\}/.exec(names)?.[1] ?? ''
    for (const each of inside.split(',')) add(found, each.trim().replace(/^type\s+/, '').split(/\s+as\s+/)[0])
    const whole = /\*\s*as\s+([A-Za-z_$][\w$]*)/.exec(names)?.[1]
    if (whole) members(whole, text, found)
  }
  const dynamic = new RegExp(
    `([A-Za-z_$][\\w$]*|\\{[^}]*\\})\\s*=\\s*await\\s+import\\(\\s*['"]${quoted}['"]`, 'g',
  )
  for (const [, whole] of text.matchAll(dynamic)) {
    if (!whole.startsWith('{')) members(whole, text, found)
    else for (const each of whole.slice(1, -1).split(',')) add(found, each.trim().split(/\s*[:=]/)[0])
  }
  return [...found]
}

function add(found, name) {
  if (/^[A-Za-z_$][\w$]*$/.test(name) && name !== 'default') found.add(name)
}

function members(whole, text, found) {
  const quoted = whole.replaceAll('$', '\\$')
  const used = new RegExp(`(?<![\\w$.])${quoted}\\s*\\??\\.\\s*([A-Za-z_$][\\w$]*)`, 'g')
  for (const [, name] of text.matchAll(used)) add(found, name)
  const taken = new RegExp(`\\{([^{}]*)\\}\\s*=\\s*${quoted}(?![\\w$.])`, 'g')
  for (const [, names] of text.matchAll(taken)) {
    for (const each of names.split(',')) add(found, each.trim().split(/\s*[:=]/)[0])
  }
}

export async function load(url, context, next) {
  if (url.startsWith(STUB)) {
    const [name, names] = url.slice(STUB.length).split('?')
    const own = names ? names.split(',') : []
    const source = [
      `const it = globalThis.unbufferedStub(${JSON.stringify(name)})`,
      'export default it.default ?? it',
      ...own.map((each) => `export const ${each} = it.${each}`),
    ]
    return { format: 'module', source: source.join('\n'), shortCircuit: true }
  }
  // Dev servers bundle their configuration, JSON with it.
  if (/^file:.*\.json$/.test(url) && !(context.importAttributes ?? context.importAssertions)?.type) {
    return { format: 'module', source: fromJson(read(url)), shortCircuit: true }
  }
  if (TYPESCRIPT.test(url)) {
    const source = withNames(compiled(read(url)), url)
    return { format: 'module', source, shortCircuit: true }
  }
  const loaded = await next(url, context)
  if (loaded.format === 'module' && loaded.source && url.startsWith('file:')) {
    const text = Buffer.from(loaded.source).toString()
    if (!url.includes('/node_modules/')) loaded.source = withNames(text, url)
  }
  return loaded
}

function fromJson(text) {
  const value = JSON.parse(text)
  const names = Object.keys(Object(value)).filter(
    (name) => /^[A-Za-z_$][\w$]*$/.test(name) && name !== 'default',
  )
  return [
    `const it = ${JSON.stringify(value)}`,
    'export default it',
    ...names.map((name) => `const own_${name} = it.${name}; export { own_${name} as ${name} }`),
  ].join('\n')
}

function withNames(text, url) {
  const names = {
    __filename: JSON.stringify(fileURLToPath(url)),
    __dirname: JSON.stringify(fileURLToPath(new URL('.', url)).replace(/[\\/]$/, '')),
    require: `(await import('node:module')).createRequire(${JSON.stringify(url)})`,
  }
  const missing = Object.entries(names).filter(
    ([name]) =>
      new RegExp(`\\b${name}\\b`).test(text) &&
      !new RegExp(`(const|let|var|function)\\s+${name}\\b|import\\s+[^'"]*\\b${name}\\b`).test(text),
  )
  return missing.map(([name, value]) => `const ${name} = ${value}; `).join('') + text
}
