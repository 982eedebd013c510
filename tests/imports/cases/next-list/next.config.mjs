/** @type {import('next').NextConfig} */
export default {
  basePath: '/docs',
  compress: false,
  async rewrites() {
    return [
      { source: '/api/:path*', destination: 'http://localhost:8000/:path*' },
      { source: '/same/:path*', destination: 'http://localhost:8001/docs/same/:path*' },
      { source: '/one', destination: 'http://localhost:8002/two', basePath: false },
      { source: '/inside/:slug', destination: '/news/:slug' },
      { source: '/post/:id(\\d+)/edit', destination: 'http://localhost:8003/:id' },
    ]
  },
}
