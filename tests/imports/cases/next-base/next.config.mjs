/** @type {import('next').NextConfig} */
export default {
  basePath: '/docs',
  async rewrites() {
    return {
      beforeFiles: [
        { source: '/unset/:path*', destination: `${process.env.API_THAT_IS_NOT_SET}/:path*` },
        { source: '/login/:path*', destination: 'https://me:a-secret@a.example/x/:path*' },
        { source: '/query/:path*', destination: 'https://me:a-secret@a.example/:path*?key=a-secret' },
      ],
      fallback: [{ source: '/:path*', destination: 'https://old.example/:path*' }],
    }
  },
}
