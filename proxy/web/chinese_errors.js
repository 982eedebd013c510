// What the commonest messages of errors mean in Chinese. The message itself stays beside
// it, in English, as it is in the log.
//
// Names of the message are $1, $2; what is behind a colon or in brackets is left to it.

const MEANINGS = [
  [/^nothing listens at (\S+?):? the socket does not exist$/, "$1 这个 socket 不存在"],
  [/^nothing listens at (\S+)$/, "$1 上没有服务在监听"],
  [/^no route for (.+?); configured: /, "没有匹配 $1 的路由"],
  [/^the upstream closed early: /, "上游提前关闭了连接，响应不完整"],
  [/^the upstream reset the connection early: /, "上游提前重置了连接，响应不完整"],
  [/^the upstream (?:closed|reset the connection) without a response$/, "上游没有响应就关闭了连接"],
  [/^no connection within (\S+) s /, "$1 秒内没有连上上游"],
  [/^no response head within (\S+) s /, "上游 $1 秒内没有响应"],
  [/^the upstream sent nothing for (\S+) s /, "上游 $1 秒没有发来数据"],
  [/^the host name '(.+?)' cannot be resolved: /, "无法解析主机名 $1"],
];

/** What a message means; "" where none of these is known. */
export function chineseMeaning(message) {
  for (const [pattern, meaning] of MEANINGS) {
    const found = pattern.exec(message ?? "");
    if (found) return meaning.replace(/\$(\d)/g, (_, at) => found[at]);
  }
  return "";
}
