import { defineConfig } from 'vite'
import react, { reactCompilerPreset as preset } from '@vitejs/plugin-react'
import { proxy } from './proxy.mjs'

export default defineConfig({ plugins: [react({ preset })], server: { proxy } })
