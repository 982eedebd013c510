// The block that Unbuffered replaces, for comparison: no proxy behind this one,
// and without `compress: false` all messages come at once, at the end.
import config from "./webpack.config.js";

const { AI, LESSONS, EVENTS, COMPRESS } = process.env;

export default {
  ...config,
  devServer: {
    ...config.devServer,
    compress: COMPRESS === "true",
    proxy: [
      {
        context: ["/server1"],
        target: AI ?? "http://localhost:3001",
        ws: false,
        changeOrigin: true,
        pathRewrite: { "^/server1": "" },
      },
      {
        context: ["/server2"],
        target: LESSONS ?? "http://localhost:3002",
        ws: false,
        changeOrigin: true,
        pathRewrite: { "^/server2": "" },
      },
      {
        context: ["/sse"],
        target: EVENTS ?? "http://localhost:8002",
        ws: false,
        changeOrigin: true,
        pathRewrite: { "^/sse": "" },
      },
    ],
  },
};
