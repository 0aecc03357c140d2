// twitter-api-v2: DMs by v2 and v1.1, look-ups, users, and how it reads limits and errors.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { TwitterApi, ApiResponseError } = require('twitter-api-v2');
const { stage, sim, prove } = require('./stage');

// The package always calls `https.request`; a plain agent makes that speak HTTP.
const plain = { httpAgent: new http.Agent() };
const tokens = {
  appKey: stage.consumerKey,
  appSecret: stage.consumerSecret,
  accessToken: stage.token,
  accessSecret: stage.tokenSecret,
};
const at = (client, version) => {
  const api = client[`v${version[0]}`];
  api.setPrefix(`${stage.url}/${version}/`);
  return api;
};
const user = new TwitterApi(tokens, plain);
const v2 = at(user, '2');
const v1 = at(user, '1.1');

/** The error of a call that has to fail. */
async function refusal(call) {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ApiResponseError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'the call should have failed' });
}

prove({
  'v2 tells who the token is of': async () => {
    const me = await v2.me({ 'user.fields': ['created_at', 'verified'] });
    assert.equal(me.data.id, stage.brand);
    assert.ok(!Number.isNaN(Date.parse(me.data.created_at)));
  },
  'v2 sends to a participant and into a conversation': async () => {
    const { data: first } = await v2.sendDmToParticipant(stage.customer, { text: 'first & <second> ünïcödé 🦉' });
    assert.equal(first.dm_conversation_id, [stage.customer, stage.brand].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1)).join('-'));
    const { data: second } = await v2.sendDmInConversation(first.dm_conversation_id, { text: 'again' });
    assert.ok(BigInt(second.dm_event_id) > BigInt(first.dm_event_id));
  },
  'v2 look-ups page through the conversation, newest first': async () => {
    for (let n = 0; n < 3; n += 1) {
      await sim('/sim/dms', { from: stage.customer, to: stage.brand, text: `look https://example.com/${n}` });
    }
    const page = await v2.listDmEventsWithParticipant(stage.customer, {
      max_results: 2,
      'dm_event.fields': ['id', 'text', 'event_type', 'created_at', 'sender_id', 'dm_conversation_id'],
      expansions: ['sender_id'],
    });
    assert.equal(page.events.length, 2);
    await page.fetchLast(50);
    assert.equal(page.events.length, 5);
    const ids = page.events.map((event) => BigInt(event.id));
    assert.deepEqual(ids, [...ids].sort((a, b) => (a < b ? 1 : -1)));
    assert.match(page.events[0].text, /^look https:\/\/t\.co\/\w{10}$/);
    assert.equal(page.includes.users[0].username !== undefined, true);
    assert.equal((await v2.listDmEvents({ max_results: 1 })).events.length, 1);
  },
  'v1.1 sends quick replies and reads them back with the app': async () => {
    const { event } = await v1.sendDm({
      recipient_id: stage.customer,
      text: 'Which one?',
      quick_reply: { type: 'options', options: [{ label: 'Red', metadata: 'r' }, { label: 'Blue' }] },
    });
    assert.equal(event.message_create.message_data.quick_reply.options.length, 2);
    const shown = await v1.getDmEvent(event.id);
    assert.equal(shown.event.message_create.source_app_id in shown.apps, true);
    const all = await v1.listDmEvents({ count: 3 });
    assert.equal(all.events.length, 3);
    assert.ok(Number(all.events[0].created_timestamp) > 1_600_000_000_000);
  },
  'v1.1 types and reads (form bodies, 204)': async () => {
    await v1.indicateDmTyping(stage.customer);
    const { dm } = await sim('/sim/dms', { from: stage.customer, to: stage.brand, text: 'read me' });
    await v1.markDmAsRead(dm.id, stage.customer);
    const { read_up_to } = await sim(`/sim/dms?a=${stage.brand}&b=${stage.customer}`);
    assert.equal(read_up_to.a, dm.id);
    assert.equal((await v1.verifyCredentials()).id_str, stage.brand);
  },
  'a private photo opens for a participant': async () => {
    const { dm } = await sim('/sim/dms', { from: stage.customer, to: stage.brand, photo: true });
    const { event } = await v1.getDmEvent(dm.id);
    const url = event.message_create.message_data.attachment.media.media_url_https;
    const photo = await v1.get(url, undefined, { prefix: '', forceParseMode: 'buffer' });
    assert.equal(photo.subarray(1, 4).toString(), 'PNG');
  },
  'limits are read from the headers': async () => {
    const answer = await v2.post(`dm_conversations/with/${stage.customer}/messages`, { text: 'counted' }, { fullResponse: true });
    assert.equal(answer.rateLimit.limit, 200);
    assert.ok(answer.rateLimit.remaining < 200);
    assert.ok(answer.rateLimit.reset > Date.now() / 1000);
    await sim('/sim/faults', { kind: 'send_429', remaining: 1, ms: 3000 });
    const error = await refusal(v2.sendDmToParticipant(stage.customer, { text: 'too much' }));
    assert.equal(error.code, 429);
    assert.ok(error.rateLimitError);
    assert.equal(error.rateLimit.remaining, 0);
  },
  'refusals carry the codes that the package knows': async () => {
    await sim(`/sim/accounts/${stage.customer}`, { inbox: 'closed' }, 'PATCH');
    const closed = await refusal(v1.sendDm({ recipient_id: stage.customer, text: 'x' }));
    assert.deepEqual([closed.code, closed.hasErrorCode(349)], [403, true]);
    assert.equal((await refusal(v2.sendDmToParticipant(stage.customer, { text: 'x' }))).code, 403);
    await sim(`/sim/accounts/${stage.customer}`, { inbox: 'open' }, 'PATCH');
    const other = new TwitterApi({ ...tokens, accessSecret: 'wrong' }, plain);
    const refused = await refusal(at(other, '1.1').verifyCredentials());
    assert.deepEqual([refused.code, refused.isAuthError], [401, true]);
    const unknown = await refusal(v2.post(`dm_conversations/with/${stage.customer}/messages`, { text: 'x', quick_reply: {} }));
    assert.equal(unknown.code, 400);
  },
});
