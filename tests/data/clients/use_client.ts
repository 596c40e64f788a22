// What a customer's program does with the types that openapi-typescript has made: send, list, read an error.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

declare const process: { env: Record<string, string> };

type Event = components["schemas"]["WebhookEvent"];

/** An event's type says what its data are. */
function told(event: Event): string[] {
  switch (event.type) {
    case "message.status":
      return event.data.messages.map((one) => `${one.message_id}: ${one.status}`);
    case "campaign.paused":
      return [event.data.status];
    default:
      return [];
  }
}

const api = createClient<paths>({ baseUrl: process.env.API, headers: { "X-API-Key": process.env.KEY } });

const sent = await api.POST("/api/v1/sms/send", { body: { phone_numbers: [process.env.PHONE], message: "Hello" } });
if (sent.error) throw new Error(sent.error.error.code);
const listed = await api.GET("/api/v1/messages", { params: { query: { bulk_id: sent.data.data.bulk_id } } });
if (listed.error) throw new Error(listed.error.error.code);
const refused = await api.POST("/api/v1/sms/send", { body: { phone_numbers: ["invalid-number"], message: "Hello" } });
if (!refused.error) throw new Error("A number that is none was taken.");

console.log(
  JSON.stringify({
    sent: sent.data.data.messages.map((one) => one.message_id),
    status: sent.data.data.messages[0].status,
    listed: listed.data.data.results.map((one) => one.message_id),
    next: listed.data.data.next,
    code: refused.error.error.code,
    problems: refused.error.error.details.errors?.map((one) => [one.field, one.code]),
    told: told(JSON.parse(process.env.EVENT)),
  }),
);
