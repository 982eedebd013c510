const { defineConfig } = require('@vue/cli-service')
module.exports = defineConfig({
  transpileDependencies: true,
  devServer: {
    proxy: {
      '^/api': { target: 'http://localhost:3000' },
      '/foo/*': { target: 'https://other.example', ws: false, changeOrigin: false, pathRewrite: { '^/foo': '/bar' } },
    },
  },
})
