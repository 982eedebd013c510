const withAnalyzer = require('@next/bundle-analyzer')({ enabled: false })
module.exports = withAnalyzer({
  rewrites: async () => ({
    beforeFiles: [
      { source: '/api', destination: 'http://localhost:8000/v1' },
      { source: '/api/:path*', destination: 'http://localhost:8000/v1/:path*' },
      {
        source: '/beta/:path*',
        has: [{ type: 'header', key: 'x-beta' }],
        destination: 'http://localhost:8001/:path*',
      },
    ],
    fallback: [{ source: '/:path*', destination: 'https://old.example/:path*' }],
  }),
})
