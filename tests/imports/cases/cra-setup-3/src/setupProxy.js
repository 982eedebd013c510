const hpm = require('http-proxy-middleware')
const { createProxyMiddleware, legacyCreateProxyMiddleware } = hpm

module.exports = function (app) {
  app.use('/api', createProxyMiddleware({ target: 'http://localhost:5001/base', changeOrigin: true }))
  app.use('/apis', createProxyMiddleware({ target: 'http://localhost:5002', pathRewrite: (path) => '/v1' + path }))
  app.use('/filter', createProxyMiddleware({ target: 'http://localhost:5003', pathFilter: '/users' }))
  app.use(['/one', '/two'], createProxyMiddleware({ target: 'http://localhost:5004' }))
  app.use('/legacy', legacyCreateProxyMiddleware({ target: 'http://localhost:5005', pathRewrite: { '^/legacy': '/l' } }))
  app.use(createProxyMiddleware({ target: 'ws://localhost:5006', pathFilter: ['/ws'], ws: true }))
  app.post('/form', createProxyMiddleware({ target: 'http://localhost:5007' }))
}
