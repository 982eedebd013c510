const { createProxyMiddleware } = require('http-proxy-middleware')

module.exports = function (app) {
  app.use('/api', createProxyMiddleware({ target: 'http://localhost:5000', changeOrigin: true }))
  app.use(createProxyMiddleware('/graphql', { target: 'http://localhost:5001', ws: true }))
  app.use((req, res, next) => next())
}
