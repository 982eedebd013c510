const path = require('path')
const https = require('https')
const HtmlWebpackPlugin = require('html-webpack-plugin')
const { merge } = require('webpack-merge')

const common = { entry: './src/main.js', plugins: [new HtmlWebpackPlugin()] }

module.exports = merge(common, {
  output: { path: path.resolve(__dirname, 'dist') },
  devServer: {
    port: 9000,
    compress: false,
    proxy: [
      {
        context: ['/server1', '/server2'],
        target: 'http://localhost:3001',
        changeOrigin: true,
        pathRewrite: { '^/server1': '', '^/server2': '' },
        ws: false,
      },
      {
        context: ['/llm/**'],
        target: 'https://api.example.com/v1',
        secure: false,
        auth: 'me:a-secret',
        headers: { 'X-Api-Key': 'another-secret', 'X-Stage': 'dev-${stage}' },
        proxyTimeout: 60000,
        xfwd: true,
        logLevel: 'debug',
        agent: new https.Agent({ keepAlive: true }),
        router: { 'beta.localhost:9000': 'https://beta.example.com' },
        bypass(req) {
          if (req.headers.accept?.includes('html')) return '/index.html'
        },
        onProxyReq: (proxyReq) => proxyReq.setHeader('X-Page', 'yes'),
      },
      { context: ['/socket.io'], target: 'http://localhost:3002' },
      { context: '/ws', target: 'ws://localhost:3002', ws: true },
      { context: '/server1/v2', target: 'http://localhost:3005' },
      { context: (pathname) => pathname.endsWith('.json'), target: 'http://localhost:3006' },
    ],
  },
})
