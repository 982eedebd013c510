export const proxy = {
  '/': { target: 'http://localhost:5000', ws: true },
  '/late': 'http://localhost:5001',
}
