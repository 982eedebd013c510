const back = 'http://localhost:4000'
module.exports = async (env, argv) => [
  { name: 'worker', target: 'webworker' },
  {
    name: 'page',
    devServer: {
      webSocketServer: { type: 'ws', options: { path: '/hot/socket' } },
      proxy: [
        { context: ['/api'], target: argv.mode === 'development' ? back : 'http://never' },
        { context: ['/hot'], target: back },
      ],
    },
  },
]
