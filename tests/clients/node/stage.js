// What the Rust test tells about the running simulator, and a few words to say what was proven.
'use strict';

const need = (name) => {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set: these scripts are run by \`cargo xtask test\`, see README.md`);
    process.exit(2);
  }
  return value;
};

const stage = {
  url: need('SIM_URL'),
  consumerKey: need('SIM_CONSUMER_KEY'),
  consumerSecret: need('SIM_CONSUMER_SECRET'),
  token: need('SIM_OAUTH_TOKEN'),
  tokenSecret: need('SIM_OAUTH_TOKEN_SECRET'),
  bearer: need('SIM_BEARER_TOKEN'),
  brand: need('SIM_BRAND_ID'),
  customer: need('SIM_CUSTOMER_ID'),
};

/** A call to the simulator's own `/sim` interface. */
async function sim(path, body, method = body ? 'POST' : 'GET') {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(stage.url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** Runs the named proofs in order; the first that fails ends the run. */
async function prove(proofs) {
  for (const [name, proof] of Object.entries(proofs)) {
    try {
      await proof();
      console.log(`ok ${name}`);
    } catch (error) {
      console.error(`not ok ${name}\n${error.stack}${error.data ? '\n' + JSON.stringify(error.data) : ''}`);
      process.exit(1);
    }
  }
  process.exit(0);
}

module.exports = { stage, sim, prove };
