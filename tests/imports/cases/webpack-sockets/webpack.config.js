module.exports = {
  devServer: {
    proxy: {
      '/api': { target: 'http://localhost:3000', changeOrigin: true },
      '/api/ws': { target: 'ws://localhost:3001', ws: true },
      '/api/users': { target: 'http://localhost:3002' },
      '/app/rest': { target: 'http://localhost:3003' },
      '/app/old': { target: 'http://localhost:3004' },
      '/hmr': { target: 'ws://localhost:3005' },
      '/app': { target: 'http://localhost:3003', ws: true },
    },
  },
}
