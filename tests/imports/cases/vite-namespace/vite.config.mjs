import * as path from 'node:path'
import * as vite from 'vite'
import react, * as reactPlugin from '@vitejs/plugin-react'
import * as acme from '@acme/build-tools'
import { withMocks } from '@acme/mocks'

const { banner } = acme
const mode = process.env.NODE_ENV

export default vite.defineConfig(
  withMocks(() => {
    const env = vite.loadEnv(mode, process.cwd(), '')
    const common = { plugins: [react(), reactPlugin.refresh(), banner('shop'), acme.report.html()] }
    return vite.mergeConfig(common, {
      resolve: { alias: { '@': path.resolve('src') } },
      server: { proxy: { '/api': { target: env.API_URL, rewrite: (p) => p.replace(/^\/api/, '/') } } },
    })
  }),
)
