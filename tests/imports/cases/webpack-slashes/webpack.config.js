const api = 'http://localhost:3000/'

module.exports = {
  mode: 'development',
  devServer: {
    proxy: [
      { context: ['/api'], target: api, pathRewrite: { '^/api': '/' } },
      { context: ['/v1'], target: api, pathRewrite: { '^/v1': '/v2/' } },
      { context: ['/bare'], target: api, pathRewrite: { bare: '' } },
      { context: ['/app/api'], target: api, pathRewrite: { '/api': '//rest/' } },
      { context: ['/rest'], target: api, pathRewrite: { '^/rest(.*)$': '/v3/$1' } },
      { context: ['/made'], target: api, pathRewrite: (path) => '/' + path.slice(5) },
      { context: ['/base'], target: 'http://localhost:3001//base//', pathRewrite: { '^/base/': '/' } },
    ],
  },
}
