// The .env files that a tool loads before its configuration, or for it, in the
// order in which that tool prefers them.

import fs from 'node:fs'
import path from 'node:path'

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

const read = (file) => {
  try {
    return parse(fs.readFileSync(file, 'utf8').replace(/^\uFEFF/, ''))
  } catch {
    return null
  }
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

// The values of several files, the first of which wins, and the files that are there.
export function fromFiles(names, folder) {
  const all = {}
  const files = []
  for (const name of names) {
    const found = read(path.resolve(folder, name))
    if (found === null) continue
    files.push(name)
    for (const [key, value] of Object.entries(found)) all[key] ??= value
  }
  return { values: expanded(all), files }
}

// What the tool itself does before it reads its configuration; the files that it read.
export function loadBefore(kind, folder) {
  return use(LOADED_BEFORE[kind] ?? [], folder).files
}

function use(names, folder) {
  const { values, files } = fromFiles(names, folder)
  for (const [key, value] of Object.entries(values)) process.env[key] ??= value
  return { values, files }
}

// loadEnv of Vite: the files for one mode win over those for all.
export function loadEnv(mode, folder = process.cwd(), prefixes = 'VITE_') {
  const names = [`.env.${mode}.local`, `.env.${mode}`, '.env.local', '.env']
  const { values } = fromFiles(names, folder || process.cwd())
  return Object.fromEntries(
    Object.entries({ ...values, ...process.env }).filter(([key]) =>
      [prefixes].flat().some((prefix) => key.startsWith(prefix)),
    ),
  )
}

// dotenv, for a configuration that asks for it and where it is not installed.
export function dotenv() {
  const config = (options = {}) => {
    const names = [options?.path ?? '.env'].flat().map(String)
    const { values } = fromFiles(names, process.cwd())
    for (const [key, value] of Object.entries(values)) {
      if (options?.override || !(key in process.env)) process.env[key] = value
    }
    return { parsed: values }
  }
  return { config, parse: (text) => parse(String(text)), default: { config, parse } }
}
