export default [
  { context: ['/my', '/many'], target: 'http://localhost:3000', secure: false },
]
