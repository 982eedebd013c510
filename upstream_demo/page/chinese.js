// The page in Chinese. Functions take values that are already formatted.

export const chinese = {
  title: "Unbuffered：看清是谁把流卡住了",
  language: "语言",
  pages: "页面",
  inspector: "Inspector",
  watch: "在 Inspector 中观察",
  claim: "六条消息，每秒一条。\n看看是谁把它们卡住了。",
  lead:
    "每一栏读的都是同一个事件服务：一栏经过会压缩、从不 flush 的中间代理（一跳），" +
    "就像开着 `compress: true` 的开发服务器；一栏经过 Unbuffered。",
  start: "开始",
  restart: "重新开始",
  third: "第三栏：同一个中间代理，后面接上 Unbuffered",
  timeline: "各条消息的到达时刻（自开始起）",

  "held.title": "经过中间代理",
  "held.path": "浏览器 → 中间代理 → 事件服务",
  "held.lane": "中间代理",
  "unbuffered.title": "经过 Unbuffered",
  "unbuffered.path": "浏览器 → Unbuffered → 事件服务",
  "unbuffered.lane": "Unbuffered",
  "behind.title": "同一个中间代理，后接 Unbuffered",
  "behind.path": "浏览器 → 中间代理 → Unbuffered → 事件服务",
  "behind.lane": "中间代理 + Unbuffered",

  "state.idle": "未开始",
  "state.connecting": "连接中",
  "state.open": "已连接",
  "state.error": "出错",
  "state.closed": "已关闭",

  waiting: (time) => `尚无消息 · ${time} 秒`,
  arriving: (count, time) => `${count} 条 · ${time} 秒`,
  "verdict.nothing": "一条消息也没有到",
  "verdict.single": (time) => `1 条消息，${time} 秒后到达`,
  "verdict.atOnce": (count, time) => `${time} 秒后 ${count} 条一起到达`,
  "verdict.steady": (count, gap) =>
    `${count} 条消息，每${gap === "1.0" ? "秒" : ` ${gap} 秒`}一条`,
  "verdict.uneven": (count, time, gap) =>
    `${time} 秒内 ${count} 条，最长间隔 ${gap} 秒`,
  "verdict.broken": (count) => `收到 ${count} 条后中断`,
  "verdict.unreachable": "连接失败",
  "verdict.unknown": "`/settings.json` 没有给出它的地址",

  "answer.heading": "AI 的回答，逐个 token 到达",
  "answer.lead":
    "用 `POST` 提问，回答是 NDJSON，由 `fetch` 边收边读。停止按钮会中止请求，" +
    "随后由 AI 服务自己说明它是否察觉。",
  "answer.prompt": "你的问题",
  "answer.default": "你是谁？",
  "answer.ask": "提问",
  "answer.stop": "停止",
  "answer.reply": "回答",
  "answer.first": "首个 token",
  "answer.tokens": "token 数",
  "answer.rate": "每秒 token",
  "answer.asking": "已提问，等待首个 token。",
  "answer.streaming": "正在接收。",
  "answer.complete": (time) => `${time} 秒后完成。`,
  "answer.failed": (reason) => `AI 服务报告：${reason}`,
  "answer.broken": (reason) => `中断：${reason}`,
  "answer.stopped": "已停止，正在询问 AI 服务是否察觉。",
  "answer.noticed": (time, left, open) =>
    `已停止，AI 服务在 ${time} 毫秒内察觉：累计 ${left} 个客户端提前离开，${open} 个请求仍在进行。`,
  "answer.unnoticed": (time) => `已停止，但 ${time} 秒后 AI 服务仍未察觉。`,

  "kept.heading": "断不了的回答",
  "kept.lead":
    "同一个问题走两条路由，其中一条开了 `resume`。回答到一半时断开两条连接，" +
    "或者刷新页面：一个丢了，另一个接着往下说。",
  "kept.prompt": "你是谁?",
  "kept.ask": "两条路由同时提问",
  "kept.cut.do": "断开两条连接",
  "kept.reload": "刷新页面",
  "kept.plain": "没有 resume",
  "kept.kept": "有 resume",
  "kept.reading": "正在接收。",
  "kept.complete": (tokens) => `完成，共 ${tokens} 个 token。`,
  "kept.plain.cut": (tokens) => `收到 ${tokens} 个 token 后连接断开，剩下的没有了。`,
  "kept.plain.reloaded": "随页面一起丢了。",
  "kept.cut": (tokens) => `收到 ${tokens} 个 token 后连接断开，正在重新取回。`,
  "kept.back": "回答还在：从第一个 token 开始，接着往下。",
  "kept.survived": (tokens, cuts) => `完成，共 ${tokens} 个 token，中途断开 ${cuts} 次。`,
  "kept.nothing": "回答已经结束，本页也全部收到了。",
  "kept.failed": (reason) => `没有回答：${reason}`,

  "variants.heading": "三种读法",
  "variants.lead":
    "同一个 `/sse/events`，用浏览器自带的三种方式来读。Unbuffered 只看响应，" +
    "不看请求，所以三种方式都能在消息发出的那一刻收到它。",
  "variants.means": "读法",
  "variants.connect": "连接",
  "variants.disconnect": "断开",
  "variants.code": "源代码",

  "echo.heading": "WebSocket，双向传输",
  "echo.lead":
    "路由上写了 `ws = true`，Unbuffered 就会转发 WebSocket。这里的 `/echo` 会原样返回" +
    "收到的消息，显示的时间是一来一回的用时。",
  "echo.text": "消息",
  "echo.default": "你好",
  "echo.send": "发送",
  "echo.close": "断开",
  "echo.open": "已连接。",
  "echo.closed": (code) => `已关闭，代码 ${code}。`,
  "echo.lost": (code) => `连接中断：代码 ${code}。`,

  "failures.heading": "出错的时候",
  "failures.lead":
    "掩盖故障的代理会让人白费几天。响应开始之前，Unbuffered 会说明哪里出了什么错；" +
    "开始之后，它直接断开连接，残缺的内容绝不会看起来是完整的。",
  "failures.body": "响应内容",
  "failures.refused": "上游已停止",
  "failures.refused.lead": "这条路由的目标地址上没有服务。",
  "failures.refused.try": "请求",
  "failures.refused.seen": (status, time) => `\`${status}\`，${time} 毫秒`,
  "failures.broken": "上游中途崩溃",
  "failures.broken.lead": "它发出三条消息，然后断开连接。",
  "failures.broken.try": "读取",
  "failures.broken.reading": (count) => `读取中：${count} 条`,
  "failures.broken.seen": (count, reason) =>
    `收到 ${count} 条后 \`${reason}\`：是错误，而不是正常结束。`,
  "failures.broken.hidden": (count) => `收到 ${count} 条后正常结束：故障被掩盖了。`,
  "failures.unseen": (reason) => `没有响应：\`${reason}\``,

  "own.link": "用在自己的项目里",
  "own.heading": "用在自己的项目里",
  "own.lead": (port = "8080") =>
    `先用 Ctrl-C 结束演示：它占用 ${port} 端口，它的服务也可能占用你的后端的端口。` +
    "页面和后端都不用改。",
  "own.route": "不写配置文件，直接试",
  "own.route.lead": (port = "8080") =>
    `填上你的后端地址，浏览器改为读取 \`http://localhost:${port}/sse/…\`。`,
  "own.file": "写进 config.toml",
  "own.file.lead": (port = "8080") =>
    `其余请求都转给开发服务器，浏览器改为打开 ${port} 端口。` +
    "`unbuffered import vite.config.ts` 可以直接转换现有的代理配置。",
  "own.doctor": "还是慢？找出是哪一跳在缓冲",
  "own.doctor.lead":
    "doctor 会实测一个流，指出是哪个代理在缓冲、要改哪几行；链路中没有 Unbuffered 也能用。",
  "own.docs": "文档",
  "docs.quickstart": "快速开始",
  "docs.quickstart.file": "docs/zh-CN/quickstart.md",
  "docs.vue": "Vue 十分钟上手",
  "docs.vue.file": "docs/zh-CN/vue.md",
  "docs.streaming": "流为什么会被缓冲",
  "docs.streaming.file": "docs/zh-CN/streaming.md",
  "docs.inspector": "Inspector（英文）",
  "docs.inspector.file": "docs/inspector.md",

  footer: "本页的每一个字节都经过代理，只有用来对照的那一栏除外。",
};
