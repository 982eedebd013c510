/** @type {import('next').NextConfig} */
const nextConfig = {
  reactStrictMode: true,
  async rewrites() {
    return [
      { source: '/api/:path*', destination: `${process.env.API_URL}/:path*` },
      { source: '/media/:path*', destination: `${process.env.MEDIA_URL}/files/:path*` },
    ]
  },
}

module.exports = nextConfig
