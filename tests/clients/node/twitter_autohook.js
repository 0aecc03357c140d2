// twitter-autohook, the platform's own package: its functions answer the CRC and check signatures.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { validateWebhook, validateSignature } = require('twitter-autohook');
const { TwitterApi } = require('twitter-api-v2');
const { stage, sim, prove } = require('./stage');

const secret = { consumer_secret: stage.consumerSecret };
const challenges = [];
const deliveries = [];

const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  if (req.method === 'GET') {
    challenges.push(url.searchParams.get('crc_token'));
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify(validateWebhook(challenges.at(-1), secret)));
    return;
  }
  const parts = [];
  req.on('data', (part) => parts.push(part));
  req.on('end', () => {
    deliveries.push({ headers: req.headers, raw: Buffer.concat(parts) });
    res.end();
  });
});

/** Waits for so many deliveries. */
async function arrived(count) {
  for (let tries = 0; deliveries.length < count; tries += 1) {
    assert.ok(tries < 500, `${deliveries.length} of ${count} deliveries arrived`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return deliveries.at(-1);
}

async function asApp(method, path, body) {
  const headers = { authorization: `Bearer ${stage.bearer}`, 'content-type': 'application/json' };
  const answer = await fetch(stage.url + path, { method, headers, body: body && JSON.stringify(body) });
  return answer.json();
}

let webhook;

prove({
  'known answers': async () => {
    const known = { consumer_secret: 'test' };
    const header = (value) => ({ 'x-twitter-webhooks-signature': value });
    assert.ok(validateSignature(header('sha256=25Cu3iwbbiqBTwQRzcKJZwisjf736V2Q8UaTlkfLSoc='), known, 'test=1&other_test=2'));
    assert.ok(validateSignature(header('sha256=YWHphPn/JFq43jkF0y4/w8R/SelmLjvpunhVFY8JhlI='), known, '{"test_number":1,"test_string":"two"}'));
  },
  'a webhook whose CRC the package answers is registered': async () => {
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${server.address().port}/webhook`;
    const made = await asApp('POST', '/2/webhooks', { url });
    assert.equal(made.data.valid, true, JSON.stringify(made));
    assert.equal(challenges.length, 1);
    webhook = made.data.id;
    const again = await asApp('PUT', `/2/webhooks/${webhook}`);
    assert.deepEqual(again, { data: { valid: true } });
    assert.equal(new Set(challenges).size, 2);
  },
  'deliveries carry signatures that the package accepts': async () => {
    const tokens = { appKey: stage.consumerKey, appSecret: stage.consumerSecret, accessToken: stage.token, accessSecret: stage.tokenSecret };
    const { v2 } = new TwitterApi(tokens, { httpAgent: new http.Agent() });
    v2.setPrefix(`${stage.url}/2/`);
    const subscribed = await v2.post(`account_activity/webhooks/${webhook}/subscriptions/all`, {});
    assert.deepEqual(subscribed, { data: { subscribed: true } });
    await sim('/sim/dms', { from: stage.customer, to: stage.brand, text: 'Grüße 🦉 https://example.com/a/b' });
    const { headers, raw } = await arrived(1);
    assert.ok(validateSignature(headers, secret, raw));
    const event = JSON.parse(raw.toString());
    assert.equal(event.for_user_id, stage.brand);
    const again = JSON.stringify(event);
    assert.ok(!validateSignature(headers, secret, again), 'a re-serialised body must not verify');
    raw[raw.length - 3] ^= 1;
    assert.ok(!validateSignature(headers, secret, raw));
  },
  'so does the newer envelope': async () => {
    await sim('/sim/dms', { from: stage.customer, to: stage.brand, text: 'new', envelope: 'xaa' });
    const { headers, raw } = await arrived(2);
    assert.ok(validateSignature(headers, secret, raw));
    assert.equal(JSON.parse(raw.toString()).data.event_type, 'dm.received');
  },
});
