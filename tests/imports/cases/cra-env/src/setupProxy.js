const { createProxyMiddleware } = require('http-proxy-middleware');

const { REACT_APP_API_PREFIX: prefix, REACT_APP_API_HOST: host, API_PORT } = process.env;

module.exports = function (app) {
  app.use(
    prefix,
    createProxyMiddleware({
      target: `http://${host}:${API_PORT}`,
      changeOrigin: true,
      pathRewrite: { [`^${prefix}/`]: '/', [`^${prefix}`]: '/' },
    })
  );
};
