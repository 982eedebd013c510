// The .env files that a tool loads before its configuration, or for it, in the
// order in which that tool prefers them.

import fs from 'node:fs'
import module from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

// First wins. What is in the environment already always does.
const LOADED_BEFORE = {
  vue: ['.env.development.local', '.env.development', '.env.local', '.env'],
  setup: ['.env.development.local', '.env.local', '.env.development', '.env'],
  next: ['.env.development.local', '.env.local', '.env.development', '.env'],
}
const ENTRY =
  /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*(?:=|:[ \t])[ \t]*("(?:\\.|[^"\\])*"|'[^']*'|`[^`]*`|[^\n]*)/gm
const NAMED = /(\\)?\$(?:\{([\w.]+)(?::?-((?:[^{}$\\]|\\.)*))?\}|([A-Za-z_]\w*))/g

function parse(text) {
  const found = {}
  for (const [, key, raw] of text.replace(/\r\n?/g, '\n').matchAll(ENTRY)) {
    const quote = /^["'`]/.exec(raw)?.[0]
    const closed = quote && raw.length > 1 && raw.endsWith(quote)
    const value = closed ? raw.slice(1, -1) : raw.replace(/(^|\s)#.*$/, '').trim()
    found[key] = quote === '"' && closed ? value.replace(/\\n/g, '\n').replace(/\\r/g, '\r') : value
  }
  return found
}

const readFile = fs.readFileSync
const read = (file) => {
  try {
    return parse(readFile(file, 'utf8').replace(/^\uFEFF/, ''))
  } catch {
    return null
  }
}

// Which file gave a variable its value: none where the environment
// had it already.
const before = { ...process.env }
const given = new Map() // by the rules of this file
const watched = [] // files that a package of the project has read

const note = (key, name, folder) => {
  if (!given.has(key)) given.set(key, path.relative(process.cwd(), path.resolve(folder, name)))
}

export function sources(kind) {
  const order = LOADED_BEFORE[kind] ?? LOADED_BEFORE.vue
  const rank = (file) => {
    const position = order.indexOf(path.basename(file))
    return position < 0 ? order.length : position
  }
  for (const file of [...new Set(watched)].sort((a, b) => rank(a) - rank(b))) {
    for (const key of Object.keys(read(file) ?? {})) note(key, file, '.')
  }
  const unchanged = (key) => key in before && process.env[key] === before[key]
  return Object.fromEntries([...given].map(([key, file]) => [key, unchanged(key) ? '' : file]))
}

// Vite, dotenv and others that are installed read .env files by themselves.
const ENV_FILE = /(?:^|[\\/])(?:\.env(?:\.[^\\/]+)?|[^\\/]+\.env)$/

export function watchFiles() {
  const watch = (owner, name, usual) => {
    const real = owner[name]
    if (real) owner[name] = function (file = usual, ...rest) {
      const text = file instanceof URL ? fileURLToPath(file) : String(file)
      if (ENV_FILE.test(text)) watched.push(path.resolve(text))
      return real.call(this, file, ...rest)
    }
  }
  watch(fs, 'readFileSync')
  watch(fs, 'readFile')
  watch(fs.promises, 'readFile')
  watch(process, 'loadEnvFile', '.env')
  module.syncBuiltinESMExports()
}

// ${NAME}, $NAME and ${NAME:-default} in a value; one that needs itself is empty.
function expanded(all) {
  const value = (name, above) => {
    if (name in process.env) return process.env[name]
    if (!(name in all) || above.includes(name)) return ''
    return all[name].replace(NAMED, (whole, escaped, long, other, short) => {
      if (escaped) return whole.slice(1)
      return value(long ?? short, [...above, name]) || (other ?? '')
    })
  }
  return Object.fromEntries(Object.keys(all).map((name) => [name, value(name, [])]))
}

// The values of several files, the first of which wins, and which one it was.
export function fromFiles(names, folder) {
  const all = {}
  const places = {}
  for (const name of names) {
    for (const [key, value] of Object.entries(read(path.resolve(folder, name)) ?? {})) {
      places[key] ??= name
      all[key] ??= value
    }
  }
  return { values: expanded(all), places }
}

// What the tool itself does before it reads its configuration.
export function loadBefore(kind, folder) {
  const { values, places } = fromFiles(LOADED_BEFORE[kind] ?? [], folder)
  for (const [key, value] of Object.entries(values)) {
    note(key, places[key], folder)
    process.env[key] ??= value
  }
}

// loadEnv of Vite: the files for one mode win over those for all.
export function loadEnv(mode, folder, prefixes = 'VITE_') {
  const names = [`.env.${mode}.local`, `.env.${mode}`, '.env.local', '.env']
  const { values, places } = fromFiles(names, folder || process.cwd())
  const wanted = (key) => [prefixes].flat().some((prefix) => key.startsWith(prefix))
  for (const key of Object.keys(values).filter(wanted)) {
    note(key, places[key], folder || process.cwd())
  }
  return Object.fromEntries(
    Object.entries({ ...values, ...process.env }).filter(([key]) => wanted(key)),
  )
}

// dotenv, for a configuration that asks for it and where it is not installed.
export function dotenv() {
  const config = (options = {}) => {
    const names = [options?.path ?? '.env'].flat().map(String)
    const { values, places } = fromFiles(names, process.cwd())
    for (const [key, value] of Object.entries(values)) {
      note(key, places[key], process.cwd())
      if (options?.override || !(key in process.env)) process.env[key] = value
    }
    return { parsed: values }
  }
  return { config, parse: (text) => parse(String(text)), default: { config, parse } }
}
