// What a front end does with the snippets of docs/frontend.md, which stand beside this file as
// blog.mjs: against the server that is named, as a page of the origin that is named.
import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { Blog, Editor, Problem, Session, asThreads, cached, presence, scroll, search, show } from "./blog.mjs"

const [base, origin, secret] = process.argv.slice(2)

// What a browser does and Node.js does not: it keeps cookies, and says which page asks.
const jars = new Map()
const plain = globalThis.fetch
let tab = "first"
globalThis.fetch = async (url, options = {}) => {
  const jar = jars.get(tab) ?? new Map()
  jars.set(tab, jar)
  const headers = { ...options.headers, Origin: origin }
  if (String(url).endsWith("/user/refresh")) refreshes += 1
  requests += 1
  if (options.credentials === "include" && jar.size) {
    headers.Cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ")
  }
  const response = await plain(url, { ...options, headers })
  for (const cookie of response.headers.getSetCookie()) {
    const [name, value] = cookie.split(";")[0].split("=")
    if (/max-age=0/i.test(cookie)) jar.delete(name)
    else jar.set(name, value)
  }
  return response
}
let refreshes = 0
let requests = 0
/** A token as it is an hour after it was made. */
const expired = (token) => {
  const [header, claims] = token.split(".")
  const read = JSON.parse(Buffer.from(claims, "base64url"))
  const old = { ...read, iat: read.iat - 7200, exp: read.iat - 3600 }
  const message = header + "." + Buffer.from(JSON.stringify(old)).toString("base64url")
  return message + "." + createHmac("sha256", secret).update(message).digest("base64url")
}
const memory = () => {
  const kept = new Map()
  return {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
    removeItem: (name) => kept.delete(name),
    size: () => kept.size,
  }
}
const refused = async (promise, code) => {
  const problem = await promise.then(() => null, (error) => error)
  assert.ok(problem instanceof Problem, String(problem))
  assert.equal(problem.code, code)
  return problem
}

// The client: a refusal says what is wrong with each field.
const blog = new Blog(base)
const form = { email: "ann", name: "Ann", password: "12345678" }
const bad = await refused(blog.call("POST", "/user/reg", { body: form }), "validation_failed")
assert.equal(bad.of("email").length, 1)
assert.equal(bad.of("name").length, 0)
const ann = { email: "ann@example.org", name: "Ann", username: "ann-smith", password: "correct horse battery staple" }
await blog.call("POST", "/user/reg", { body: ann })

// Log in, reload, refresh as the token ends, once for all who ask.
await refused(blog.logIn("ann-smith", "wrong horse battery"), "invalid_credentials")
await blog.logIn("ann-smith", ann.password, true)
assert.equal(blog.me.username, "ann-smith")
const reloaded = new Blog(base)
assert.ok(await reloaded.refresh(), "the cookie is still there")
refreshes = 0
reloaded.token = expired(reloaded.token)
await Promise.all([1, 2, 3].map(() => reloaded.call("GET", "/user/me")))
assert.equal(refreshes, 1)
assert.equal(reloaded.me.name, "Ann")

// Write: what is typed is kept, a repeat makes one post, a second window overwrites nothing unseen.
const store = memory()
const editor = new Editor(blog, store)
const typed = { ...(await editor.open()), title: "Hello, world", content: "The *first* of many.", tags: ["news"], status: "published" }
editor.keep(typed)
const again = new Editor(blog, store)
assert.deepEqual(await again.open(), typed)
const { post } = await editor.save(typed)
again.id = null
assert.equal((await again.save(typed)).post.post_id, post.post_id)
assert.equal(store.size(), 0)
const mine = new Editor(blog, memory(), post.post_id)
const theirs = new Editor(blog, memory(), post.post_id)
const [one, two] = [await mine.open(), await theirs.open()]
await theirs.save({ ...two, title: "Theirs" })
const { conflict } = await mine.save({ ...one, title: "Mine" })
assert.equal(conflict.post_title, "Theirs")
assert.equal((await mine.save({ ...one, title: "Both" })).post.post_title, "Both")

// Read: a post as HTML, the rest as text, lists to their end.
const shown = { title: {}, author: {}, content: {} }
show(await blog.post(post.post_id), shown)
assert.equal(shown.content.innerHTML, "<p>The <em>first</em> of many.</p>\n")
assert.equal(shown.title.textContent, "Both")
assert.equal(await blog.post(999), null)
for (let n = 0; n < 7; n += 1) {
  const body = { title: `Post ${n}`, content: "About wasm.", tags: ["more"] }
  await blog.call("POST", "/post/pub", { body })
}
const seen = []
let waits = 0
await scroll(blog.posts({ tag: "more" }, 3), async () => { waits += 1 }, (item) => seen.push(item.post_title))
assert.deepEqual(seen, [6, 5, 4, 3, 2, 1, 0].map((n) => `Post ${n}`))
assert.equal(waits, 3)

// A home page, and the page of a post with comments: three requests each.
requests = 0
const home = await blog.home(5)
assert.equal(requests, 3)
assert.deepEqual(home.posts.map((item) => item.post_title), [6, 5, 4, 3, 2].map((n) => `Post ${n}`))
assert.deepEqual(Object.keys(home.posts[0]).includes("post_content"), false)
assert.equal(home.posts[0].summary, "About wasm.")
assert.deepEqual(home.tags, [{ tag: "more", posts: 7 }, { tag: "news", posts: 1 }])
assert.equal(home.online.total, 0)
assert.equal((await new Blog(base).home()).online, null)
const key = crypto.randomUUID()
const first = await blog.comment(post.post_id, "*Well* said", { key })
assert.equal((await blog.comment(post.post_id, "*Well* said", { key })).comment_id, first.comment_id)
await blog.comment(post.post_id, "Indeed", { replyTo: first.comment_id })
await blog.comment(post.post_id, "Next")
requests = 0
const whole = await blog.postPage("hello-world")
assert.equal(requests, 3)
assert.equal(whole.post.post_title, "Both")
assert.deepEqual([whole.newer.post_title, whole.older], ["Post 0", null])
const [thread, next] = asThreads(whole.comments)
assert.equal(thread.content_html, "<p><em>Well</em> said</p>\n")
assert.deepEqual(thread.replies.map((reply) => reply.content), ["Indeed"])
assert.deepEqual([next.content, next.replies, whole.pagination.next], ["Next", [], null])
assert.equal(await blog.postPage("nothing-here"), null)

// Search: the last of several words that were typed is answered, by its beginning.
const answer = await new Promise((resolve) => {
  const type = search(blog, resolve, 1)
  for (const text of ["w", "wa", "was"]) type(text)
})
assert.equal(answer.length, 7)
assert.deepEqual(await new Promise((resolve) => search(blog, resolve)(" ")), [])

// A server that renders pages: what has not changed comes from memory.
const read = cached(new Blog(base))
const page = await read("/post/?size=3")
assert.equal(await read("/post/?size=3"), page)
await mine.save({ ...one, title: "Changed" })
const path = `/post/${post.post_id}`
const before = await read(path)
await mine.save({ ...one, title: "Changed again" })
assert.notEqual((await read(path)).post.post_title, before.post.post_title)

// Presence: one sees oneself, through the end of a token, until the session ends.
const ends = new Blog(base)
await ends.logIn("ann-smith", ann.password)
ends.token = expired(ends.token)
refreshes = 0
let stop
await new Promise((resolve) => {
  stop = presence(ends, (online, total) => {
    if (total === 1 && online[0].name === "Ann") resolve()
  }, 1)
})
assert.equal(refreshes, 1)
stop()

// A mobile app: no cookie, the refresh token in the keychain.
tab = "app"
let keychain = null
const app = new Blog(base)
const session = new Session(app, { get: () => keychain, set: (value) => { keychain = value } })
await session.logIn("ann@example.org", ann.password)
app.token = expired(app.token)
assert.equal((await app.call("GET", "/user/me")).data.userinfo.name, "Ann")
assert.equal(jars.get("app").size, 0)

// Logging out everywhere counts in every tab and in the app.
tab = "first"
let ended = 0
reloaded.onLoggedOut = app.onLoggedOut = () => { ended += 1 }
await blog.logOut(true)
assert.equal(blog.me, null)
assert.equal(await reloaded.refresh(), false)
assert.equal(await app.refresh(), false)
assert.deepEqual([ended, keychain], [2, null])
console.log("all as described")
process.exit(0)
