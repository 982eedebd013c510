// webpack-dev-server 4, with the table that it still knew.
module.exports = {
  devServer: {
    compress: true,
    proxy: {
      '/sse': { target: 'http://localhost:8002', pathRewrite: { '^/sse': '' }, changeOrigin: true },
      '/files': 'http://localhost:8003',
      '/{auth,users}/**': {
        target: { host: '127.0.0.1', port: 8004, protocol: 'http:' },
        pathRewrite: (path) => path.replace('/auth', '/login'),
        cookieDomainRewrite: { 'example.com': 'localhost', '*': '' },
        cookiePathRewrite: '/',
        autoRewrite: true,
        hostRewrite: 'localhost:8080',
        followRedirects: true,
        timeout: 5000,
      },
      '/static/*.json': 'http://localhost:8005',
      '/local': { target: { socketPath: '/run/app.sock' } },
      '/unset': { target: process.env.A_VARIABLE_THAT_IS_NOT_SET },
      '/fixed': { target: 'http://localhost:8006/one', ignorePath: true },
      '/bare': { target: 'http://user:pass@localhost:8007/two?key=1', prependPath: false },
      noslash: 'http://localhost:8008',
    },
  },
}
