import { defineConfig, loadEnv, type UserConfig } from 'vite'
import vue from '@vitejs/plugin-vue'
import path from 'node:path'

interface Options {
  mode: string
}

export default defineConfig(({ mode }: Options): UserConfig => {
  const env = loadEnv(mode, process.cwd(), 'APP_')
  return {
    base: '/app/',
    plugins: [vue()],
    resolve: { alias: { '@': path.resolve(__dirname, 'src') } },
    server: {
      proxy: {
        '/api': {
          target: env.APP_API ?? 'http://localhost:3000',
          rewrite: (p: string) => p.replace(/^\/api/, ''),
        },
      },
    },
  }
})
