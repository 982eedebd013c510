// webpack-dev-server, its proxy pointed at Unbuffered. `compress` stays on.
import { VueLoaderPlugin } from "vue-loader";
import webpack from "webpack";

const unbuffered = process.env.UNBUFFERED ?? "http://127.0.0.1:8080";

export default {
  mode: "development",
  entry: "./src/main.js",
  module: {
    rules: [
      { test: /\.vue$/, loader: "vue-loader" },
      { test: /\.css$/, use: ["style-loader", "css-loader"] },
    ],
  },
  plugins: [
    new VueLoaderPlugin(),
    new webpack.DefinePlugin({
      __VUE_OPTIONS_API__: true,
      __VUE_PROD_DEVTOOLS__: false,
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: false,
    }),
  ],
  devServer: {
    port: process.env.PORT ?? 8000,
    // The HMR socket comes to the address of the page, so that it also goes
    // through an Unbuffered that stands before the dev server.
    client: { webSocketURL: "auto://0.0.0.0:0/ws" },
    proxy: [
      { context: ["/server1", "/server2", "/sse"], target: unbuffered },
      { context: ["/echo"], target: unbuffered, ws: true },
    ],
  },
};
