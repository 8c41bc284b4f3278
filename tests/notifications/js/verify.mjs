// Reads [{key, headers, body}] and answers with what the official package says of each: "ok", or why not.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { Webhook } = createRequire(`${process.argv[2]}/`)("standardwebhooks");
const verdicts = JSON.parse(readFileSync(0, "utf8")).map(({ key, headers, body }) => {
  try {
    new Webhook(key).verify(body, headers);
    return "ok";
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify(verdicts));
