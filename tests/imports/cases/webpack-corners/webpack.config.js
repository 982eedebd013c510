// Entries as functions, exceptions, variables that are not set, secrets in addresses.
module.exports = async (env, { mode }) => ({
  mode,
  devServer: {
    proxy: [
      () => ({ context: '/called', target: 'http://localhost:3001' }),
      (req) => ({ context: '/asked', target: req.headers.host }),
      { context: ['/glob/**', '!/glob/health'], target: 'http://localhost:3002' },
      { context: '/unset', target: `http://${process.env.HOST_THAT_IS_NOT_SET}:8000` },
      { context: '/login', target: 'http://me:a-secret@localhost:3003/' },
      { context: (path) => path.endsWith('.x'), target: 'http://me:a-secret@localhost:3003' },
      { context: '/field', target: 'http://localhost:3004', headers: { 'X-Pass': 'Bearer a-secret' } },
      {
        context: '/key',
        target: 'http://localhost:3005',
        pathRewrite: { '^/key': '/v1?api_key=a-secret&x=' },
      },
      { context: '/all', target: 'http://localhost:3006', pathRewrite: (path) => path.replace(/o/g, '') },
    ],
  },
})
