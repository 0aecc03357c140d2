// oauth-1.0a as an oracle: three legs, queries, form bodies, and what has to be refused.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const OAuth = require('oauth-1.0a');
const { stage, sim, prove } = require('./stage');

const oauth = new OAuth({
  consumer: { key: stage.consumerKey, secret: stage.consumerSecret },
  signature_method: 'HMAC-SHA1',
  hash_function: (base, key) => crypto.createHmac('sha1', key).update(base).digest('base64'),
});
const brand = { key: stage.token, secret: stage.tokenSecret };

/** Signs `data` (form fields) with the request and sends it, as a form or as something else. */
function signed(method, path, token, { data, body, type, header = (h) => h } = {}) {
  const url = stage.url + path;
  const { Authorization } = oauth.toHeader(oauth.authorize({ url, method, data }, token));
  const headers = { authorization: header(Authorization) };
  if (data && !body && Object.keys(data).some((key) => !key.startsWith('oauth_'))) {
    body = new URLSearchParams(data).toString();
    type = 'application/x-www-form-urlencoded';
  }
  if (type) headers['content-type'] = type;
  return fetch(url, { method, headers, body, redirect: 'manual' });
}

const form = async (answer) => Object.fromEntries(new URLSearchParams(await answer.text()));

prove({
  'the documented example': async () => {
    const known = new OAuth({
      consumer: { key: 'xvz1evFS4wEEPTGEFPHBog', secret: 'kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw' },
      signature_method: 'HMAC-SHA1',
      hash_function: (base, key) => crypto.createHmac('sha1', key).update(base).digest('base64'),
    });
    const request = { method: 'POST', url: 'https://api.x.com/1.1/statuses/update.json', data: { status: 'Hello Ladies + Gentlemen, a signed OAuth request!', include_entities: 'true' } };
    const fields = {
      oauth_consumer_key: 'xvz1evFS4wEEPTGEFPHBog', oauth_nonce: 'kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg', oauth_signature_method: 'HMAC-SHA1',
      oauth_timestamp: '1318622958', oauth_token: '370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb', oauth_version: '1.0',
    };
    assert.equal(known.getSignature(request, 'LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE', fields), 'Ls93hJiZbQ3akF3HF3x1Bz8/zU4=');
  },
  'three legs end in a token that signs': async () => {
    const callback = 'http://localhost:8080/oauth/x/callback?a=1&b=two words';
    const request = await form(await signed('POST', '/oauth/request_token', undefined, { data: { oauth_callback: callback } }));
    assert.equal(request.oauth_callback_confirmed, 'true');
    const { redirect_url } = await sim('/sim/oauth/approve', { oauth_token: request.oauth_token, account_id: stage.brand });
    const back = new URL(redirect_url);
    assert.equal(back.searchParams.get('b'), 'two words');
    assert.equal(back.searchParams.get('oauth_token'), request.oauth_token);
    const key = { key: request.oauth_token, secret: request.oauth_token_secret };
    const access = await form(await signed('POST', '/oauth/access_token', key, { data: { oauth_verifier: back.searchParams.get('oauth_verifier') } }));
    assert.equal(access.user_id, stage.brand);
    const me = await signed('GET', '/2/users/me', { key: access.oauth_token, secret: access.oauth_token_secret });
    assert.equal((await me.json()).data.id, stage.brand);
  },
  'queries are signed': async () => {
    const path = '/2/dm_events?max_results=5&dm_event.fields=id%2Ctext%2Csender_id&expansions=sender_id';
    assert.equal((await signed('GET', path, brand)).status, 200);
    let header;
    await signed('GET', '/2/dm_events?max_results=5', brand, { header: (h) => (header = h) });
    const other = await fetch(`${stage.url}/2/dm_events?max_results=6`, { headers: { authorization: header } });
    assert.equal(other.status, 401, 'a changed query breaks the signature');
  },
  'form bodies are signed, JSON bodies are not': async () => {
    const path = '/1.1/direct_messages/indicate_typing.json';
    assert.equal((await signed('POST', path, brand, { data: { recipient_id: stage.customer } })).status, 204);
    const other = await signed('POST', path, brand, {
      data: { recipient_id: '1' },
      body: `recipient_id=${stage.customer}`,
      type: 'application/x-www-form-urlencoded',
    });
    assert.equal(other.status, 401, 'a changed form breaks the signature');
    const json = await signed('POST', `/2/dm_conversations/with/${stage.customer}/messages`, brand, {
      body: JSON.stringify({ text: 'signed without its body: !*\'() ~ % + &' }),
      type: 'application/json',
    });
    assert.equal(json.status, 201);
  },
  'forged and repeated headers are refused': async () => {
    const path = '/1.1/account/verify_credentials.json';
    let header;
    assert.equal((await signed('GET', path, brand, { header: (h) => (header = h) })).status, 200);
    assert.equal((await signed('GET', path, brand, { header: () => header })).status, 401, 'a nonce is good once');
    assert.equal((await signed('GET', path, brand, { header: (h) => h.replace(/oauth_nonce="../, 'oauth_nonce="zz') })).status, 401);
    assert.equal((await signed('GET', path, { ...brand, secret: 'wrong' })).status, 401);
  },
});
