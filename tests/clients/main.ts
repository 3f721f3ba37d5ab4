// What an app does with a client that is generated from the description: compiled with --strict, and run against a
// server whose URL is the first argument.

import createClient from "openapi-fetch"
import type { components, paths } from "./api"

declare const process: { argv: string[] }

type Schemas = components["schemas"]

const client = createClient<paths>({ baseUrl: process.argv[2] })
const password = "correct horse battery staple"

function must<T>(answer: { data?: T; error?: Schemas["Problem"] }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error))
  return answer.data
}

function mustBe(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what} is ${JSON.stringify(found)}`)
}

const registration: Schemas["Registration"] = { email: "ann@example.org", name: "Ann", password, username: "ann-smith" }
const registered = must(await client.POST("/user/reg", { body: registration }))
mustBe("the role", registered.userinfo.role, "user" satisfies Schemas["Role"])
const taken = await client.POST("/user/reg", { body: registration })
mustBe("the code", taken.error?.code, "email_taken")
mustBe("the second pointer", taken.error?.errors?.[1]?.pointer, "/username")

// By whichever name, and never without a password.
const byEmail: Schemas["Login"] = { email: "ann@example.org", password }
// @ts-expect-error
const nobody: Schemas["Login"] = { account: "ann@example.org" }
must(await client.POST("/user/login", { body: byEmail }))
const login = must(await client.POST("/user/login", { body: { account: "ann-smith", password, remembered: true } }))
const refused = await client.POST("/user/login", { body: nobody })
mustBe("the code", refused.error?.code, "validation_failed")

const headers = { Authorization: `Bearer ${login.token}` }
const post: Schemas["PostInput"] = { title: "Hello", content: "*world*", status: "published", tags: ["first"] }
// @ts-expect-error
const slip: Schemas["PostInput"] = { ...post, status: "publishd" }
mustBe("the code", (await client.POST("/post/pub", { body: slip, headers })).error?.errors?.[0]?.code, "status_invalid")
const published = must(await client.POST("/post/pub", { body: post, headers }))

const listed = must(await client.GET("/post", { params: { query: { tag: ["first"], size: 5 } } }))
mustBe("the count", listed.pagination.count, 1)
mustBe("the id", listed.posts[0]?.post_id, published.post_id)
const changed = must(await client.PATCH("/post/{id}", {
  params: { path: { id: published.post_id } },
  body: { title: "Hello again" },
  headers,
}))
mustBe("the title", changed.post.post_title, "Hello again")
// @ts-expect-error
const cleared: Schemas["PostPatch"] = { title: null }
mustBe("a field that cannot be cleared", cleared.title, null)

const refreshed = must(await client.POST("/user/refresh", { body: { refresh_token: login.refresh_token ?? null } }))
const me = await client.GET("/user/me", { headers: { Authorization: `Bearer ${refreshed.token}` } })
mustBe("the name", must(me).userinfo.name, "Ann")
const out = await client.POST("/user/logout", { headers: { Authorization: `Bearer ${refreshed.token}` } })
mustBe("the status", out.response.status, 204)

// What the live stream sends is told apart by its type.
function gone(frame: Schemas["LiveFrame"]): number[] {
  return frame.type === "change" ? frame.offline : []
}
mustBe("who is gone", gone({ type: "change", total: 0, online: [], offline: [1] })[0], 1)

console.log("all as described")
