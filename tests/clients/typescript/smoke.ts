/** Lists rules, makes one, reads it, deletes it and checks, with types out of the OpenAPI document. */
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const [base, secret] = process.argv.slice(2) as [string, string];
const api = createClient<paths>({ baseUrl: base, headers: { Authorization: `Bearer ${secret}` } });

function sure(good: boolean, what: string): asserts good {
  if (!good) throw new Error(what);
}

const before = await api.GET("/api/v1/rate-limits");
sure(before.data?.rules.length === 0, "no rules yet");
const made = await api.POST("/api/v1/rate-limits", {
  body: { name: "chat-per-user", type: "user", match: { route: "POST /v1/chat" }, limit: 100, window: "1m" },
});
sure(made.data !== undefined, "made");
const path = { rule_id: made.data.id };
const read = await api.GET("/api/v1/rate-limits/{rule_id}", { params: { path } });
sure(read.data?.limit === 100 && read.data.window === "1m", "read");
const checked = await api.POST("/api/v1/check", { body: { route: "POST /v1/chat", user: "u_42" } });
sure(checked.data?.allowed === true && checked.data.remaining === 99, "checked");
const gone = await api.DELETE("/api/v1/rate-limits/{rule_id}", { params: { path, header: { "If-Match": "*" } } });
sure(gone.response.status === 204, "deleted");
const missing = await api.GET("/api/v1/rate-limits/{rule_id}", { params: { path } });
sure(missing.error?.code === "not_found", "gone");
console.log("all well");
