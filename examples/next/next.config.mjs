// The rewrites point at Unbuffered. `compress` stays on, as it is by default.
const unbuffered = process.env.UNBUFFERED ?? "http://127.0.0.1:8080";

export default {
  devIndicators: false,
  async rewrites() {
    return ["server1", "server2", "sse", "echo"].map((prefix) => ({
      source: `/${prefix}/:path*`,
      destination: `${unbuffered}/${prefix}/:path*`,
    }));
  },
};
