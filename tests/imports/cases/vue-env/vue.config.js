'use strict'
const path = require('path')

const port = process.env.port || process.env.npm_config_port || 9528

module.exports = {
  publicPath: '/',
  productionSourceMap: false,
  devServer: {
    port,
    open: true,
    proxy: {
      // /dev-api/login becomes http://localhost:7001/api/login
      [process.env.VUE_APP_BASE_API]: {
        target: process.env.VUE_APP_SERVER_URL,
        changeOrigin: true,
        pathRewrite: { ['^' + process.env.VUE_APP_BASE_API]: '/' },
      },
      [process.env.VUE_APP_UPLOADS]: {
        target: `${process.env.VUE_APP_STORE}/bucket`,
        headers: { 'X-Store-Key': process.env.STORE_KEY },
      },
    },
  },
  configureWebpack: { resolve: { alias: { '@': path.join(__dirname, 'src') } } },
}
