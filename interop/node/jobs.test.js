'use strict';

// ibm-watson: callbacks, jobs, deletion of user data.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { URL: SERVICE, RECORDINGS, client, transcripts } = require('./material.js');

const SECRET = 'ThisIsMySecret';

// A callback server that echoes challenges and keeps what it is told; what is not signed with its secret it does not take.
async function hook(t) {
  const told = [];
  const server = http.createServer((request, response) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      const challenge = new URL(request.url, 'http://hook').searchParams.get('challenge_string');
      const message = request.method === 'GET' ? challenge : Buffer.concat(pieces);
      const signature = crypto.createHmac('sha1', SECRET).update(message).digest('base64');
      if (request.headers['x-callback-signature'] !== signature) {
        response.writeHead(403).end();
        return;
      }
      if (request.method === 'POST') told.push(JSON.parse(message));
      response.writeHead(200, { 'Content-Type': 'text/plain' }).end(challenge ?? '');
    });
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  t.after(() => server.close());
  return { told, url: `http://127.0.0.1:${server.address().port}/results?for=dictum` };
}

async function createJob(options) {
  const audio = fs.createReadStream(RECORDINGS.wav.path);
  const { status, result } = await client().createJob({ audio, contentType: 'audio/wav', ...options });
  assert.equal(status, 201);
  assert.equal(result.url, `${SERVICE}/v1/recognitions/${result.id}`);
  return result;
}

async function until(condition) {
  for (let tries = 0; tries < 1200; tries += 1) {
    const found = await condition();
    if (found) return found;
    await sleep(50);
  }
  return assert.fail('it did not come to that in a minute');
}

const ended = (id) =>
  until(async () => {
    const { result } = await client().checkJob({ id });
    return ['completed', 'failed'].includes(result.status) && result;
  });

test('a job with a callback', async (t) => {
  const { told, url: callbackUrl } = await hook(t);
  const registered = await client().registerCallback({ callbackUrl, userSecret: SECRET });
  assert.deepEqual([registered.status, registered.result], [201, { status: 'created', url: callbackUrl }]);
  const again = await client().registerCallback({ callbackUrl, userSecret: SECRET });
  assert.deepEqual([again.status, again.result.status], [200, 'already created']);
  const events = 'recognitions.started,recognitions.completed_with_results,recognitions.failed';
  const job = await createJob({ callbackUrl, events, userToken: 'job25', resultsTtl: 5, wordConfidence: true });
  await until(() => told.length >= 2);
  assert.deepEqual(told[0], { id: job.id, event: 'recognitions.started', user_token: 'job25' });
  assert.equal(told[1].event, 'recognitions.completed_with_results');
  assert.deepEqual(transcripts(told[1].results[0]), RECORDINGS.wav.transcripts);
  const found = await ended(job.id);
  assert.deepEqual(found.results, told[1].results);
  const { result } = await client().checkJobs();
  assert.equal(result.recognitions.find(({ id }) => id === job.id).user_token, 'job25');
  assert.equal((await client().unregisterCallback({ callbackUrl })).status, 200);
  await assert.rejects(client().unregisterCallback({ callbackUrl }), { status: 404 });
});

test('a job without a callback, deleted', async () => {
  const job = await createJob({});
  const found = await ended(job.id);
  assert.deepEqual(transcripts(found.results[0]), RECORDINGS.wav.transcripts);
  assert.equal((await client().deleteJob({ id: job.id })).status, 204);
  await assert.rejects(client().checkJob({ id: job.id }), { status: 404 });
});

test('deleteUserData', async () => {
  const job = await createJob({ headers: { 'X-Watson-Metadata': 'customer_id=somebody' } });
  assert.equal((await client().deleteUserData({ customerId: 'somebody' })).status, 200);
  await assert.rejects(client().checkJob({ id: job.id }), { status: 404 });
});
