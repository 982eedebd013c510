const prefix = '/inferred'
module.exports = {
  server: {
    port: 3000,
    proxy: {
      '/api': {
        target: 'http://localhost:8080',
        changeOrigin: true,
        rewrite: (path) => path.replace(/^\/api/, ''),
      },
      '/short': 'http://localhost:8001',
      '/method': {
        target: 'http://localhost:8002',
        rewrite(path) {
          return path.replace(new RegExp('^/method'), '/v1')
        },
      },
      '/inferred': {
        target: 'http://localhost:8003',
        rewrite: (path) => '/deep' + path.slice(prefix.length),
      },
      '/clever': {
        target: 'http://localhost:8004',
        rewrite: (path) => (path.includes('a') ? '/a' : '/b'),
      },
      '^/(users|groups)/.*': 'http://localhost:8005',
      '^/.*\\.php$': 'http://localhost:8006',
      '/live': { target: 'ws://localhost:8007', rewriteWsOrigin: true },
      '/configured': {
        target: 'http://localhost:8008',
        configure: (proxy) => proxy.on('proxyRes', () => {}),
        bypass: () => undefined,
      },
      '/api-docs': 'http://localhost:8009',
    },
  },
}
